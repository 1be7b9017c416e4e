"""Flyte 2 itself: that what is recorded of it is true, and that its own objects are taken."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from execution_options.cluster.progress import Progress
from support.clients import ROOT, builder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.engines, pytest.mark.clients, pytest.mark.timeout(600)]

PROGRAM = """
import flyte.notify as notify
from flyte.models import ActionPhase
from execution_options import Email, Options, Slack, Template, WorkflowExecutionPhase as Phase
taken = Options.from_flyte2(
    max_action_concurrency=3,
    notifications=(
        notify.Email(
            on_phase=(ActionPhase.FAILED, ActionPhase.TIMED_OUT),
            recipients=("a@example.com",),
            subject="{{.Run.Name}}",
        ),
        notify.Slack(on_phase=ActionPhase.SUCCEEDED, webhook_url="https://hooks.example.com/x", message="done"),
    ),
    channels={"https://hooks.example.com/x": "alerts"},
)
assert taken == Options(
    max_parallelism=3,
    notifications=[
        Email([Phase.FAILED, Phase.TIMED_OUT], ["a@example.com"], template=Template(subject="{{ name }}")),
        Slack([Phase.SUCCEEDED], ["#alerts"], channel="alerts", template=Template(body="done")),
    ],
), taken
"""


@pytest.fixture(scope="module")
def python() -> Path:
    return builder("flyte2")(Progress())


def test_the_recorded_table_is_what_flyte_says(python: Path) -> None:
    script = ROOT / "tests" / "support" / "flyte2_facts.py"
    done = subprocess.run([python, "-P", str(script)], capture_output=True, text=True, check=True)
    assert yaml.safe_load((ROOT / "tests" / "sdk" / "flyte2.yaml").read_text()) == json.loads(done.stdout)


def test_its_own_objects_are_taken(python: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run([python, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
