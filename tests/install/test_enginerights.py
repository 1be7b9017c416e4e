"""What an engine needs is said as what an administrator can apply."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from execution_options.api.related_kinds import SpecificationKind
from execution_options.engines.profile import parse
from execution_options.install import CONTROLLER, WEBHOOK
from execution_options.install.enginerights import Right, grant, needed

EXAMPLE = Path(__file__).parents[2] / "examples" / "engine"
BACKUP = parse((EXAMPLE / "engine.yaml").read_bytes())


def test_executions_are_followed_and_what_they_refer_to_is_read() -> None:
    template = SpecificationKind(
        name="spec.template", group="example.com", version="v1", kind="BackupTemplate", plural="backuptemplates"
    )
    engine = msgspec.structs.replace(BACKUP, specifications=(template,))
    executions = [Right(CONTROLLER, "example.com", "backups", verb) for verb in ("get", "list", "watch", "patch")]
    plans = [Right(account, "example.com", "backupschedules", "get") for account in (CONTROLLER, WEBHOOK)]
    assert list(needed(engine)) == [*executions, *plans, Right(WEBHOOK, "example.com", "backuptemplates", "get")]


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        (
            list(needed(BACKUP)),
            (
                "execution-options-controller may not get, list, watch, patch backups.example.com; "
                "execution-options-controller may not get backupschedules.example.com; "
                "execution-options-webhook may not get backupschedules.example.com"
            ),
        ),
        (
            [Right(CONTROLLER, "example.com", "backups", "patch")],
            "execution-options-controller may not patch backups.example.com",
        ),
    ],
)
def test_what_lacks_is_named_and_all_that_is_needed_can_be_granted(lacking: list[Right], message: str) -> None:
    sentence, _, roles = grant(BACKUP, lacking).partition("\n")
    assert sentence == f"{message}; grant it with:"
    assert roles == (EXAMPLE / "rights.yaml").read_text()
