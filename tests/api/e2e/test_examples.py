"""Every example is applied as its reader would; those in examples/refused/ are refused as they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("crds")]

EXAMPLES = Path(__file__).parents[3] / "examples"
OURS = [
    path
    for path in sorted(EXAMPLES.rglob("*.yaml"))
    if re.search(r"(?m)^kind: (Cluster)?ExecutionOptions$", path.read_text(encoding="utf-8"))
]
REFUSED = [path for path in OURS if path.parent.name == "refused"]
# A demonstration may bring a wrong manifest of its own, refused.yaml.
APPLIED = [path for path in OURS if "refused" not in (path.parent.name, path.stem)]


@pytest.mark.parametrize("example", APPLIED, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_is_accepted(control_plane: Cluster, namespace: str, example: Path) -> None:
    control_plane.run_kubectl(["apply", "--dry-run=server", "-n", namespace, "-f", str(example)])


@pytest.mark.parametrize("example", REFUSED, ids=lambda path: path.name)
def test_a_wrong_example_is_refused_as_it_says(control_plane: Cluster, namespace: str, example: Path) -> None:
    messages = re.findall("^# Refused: (.*)$", example.read_text(encoding="utf-8"), re.MULTILINE)
    assert messages

    answer = control_plane.run_kubectl(["apply", "-n", namespace, "-f", str(example)], check=False)

    assert answer.returncode != 0
    for message in messages:
        assert message in answer.stderr
