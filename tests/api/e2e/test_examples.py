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
REFUSED = sorted((EXAMPLES / "refused").glob("*.yaml"))
APPLIED = sorted(
    path
    for path in EXAMPLES.rglob("*.yaml")
    if path not in REFUSED and re.search(r"(?m)^kind: (Cluster)?ExecutionOptions$", path.read_text(encoding="utf-8"))
)


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
