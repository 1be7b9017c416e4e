"""What an engine needs is said as what an administrator can apply."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution_options.controller.rights import Right, grant, needed
from execution_options.engines.profile import parse

EXAMPLE = Path(__file__).parents[2] / "examples" / "engine"
BACKUP = parse((EXAMPLE / "engine.yaml").read_bytes())


def test_the_controller_follows_executions_and_reads_their_launch_plans() -> None:
    executions = [Right("example.com", "backups", verb) for verb in ("get", "list", "watch", "patch")]
    assert list(needed(BACKUP)) == [*executions, Right("example.com", "backupschedules", "get")]


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (list(needed(BACKUP)), "get, list, watch, patch backups.example.com; get backupschedules.example.com"),
        ([Right("example.com", "backups", "patch")], "patch backups.example.com"),
    ],
)
def test_what_lacks_is_named_and_all_that_is_needed_can_be_granted(lacking: list[Right], said: str) -> None:
    sentence, _, roles = grant(BACKUP, lacking).partition("\n")
    assert sentence == f"the operator may not {said}; grant it with:"
    assert roles == (EXAMPLE / "rights.yaml").read_text()
