"""The demo shows what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from execution_options.cluster import ControlPlane

pytestmark = pytest.mark.e2e

DEMO = Path(__file__).parents[3] / "examples" / "demo" / "demo.py"


def test_the_demo_shows_two_scenarios_of_one_workflow_and_where_each_value_comes_from(embedded: ControlPlane) -> None:
    shown = subprocess.run(
        [sys.executable, str(DEMO), "--kubeconfig", str(embedded.kubeconfig), "--context", embedded.context],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "label environment dev (dev) prod (prod)" in lines
    assert "service account trainer (team-defaults) trainer-prod (prod)" in lines
    # The author wrote LOG_LEVEL: a default leaves it, options that the execution refers to replace it.
    assert "LOG_LEVEL info (author) error (prod)" in lines
    assert any(line.startswith("labels[cost-center] research-4711 ClusterExecutionOptions") for line in lines)
    assert "INC-7" in shown.stdout
    assert 'label key "kubernetes.io/hostname" is reserved' in shown.stdout
    assert 'Unsupported value: "QUEUED"' in shown.stdout
    assert "refers to ExecutionOptions 'prd', which does not exist; namespace demo has dev, prod" in shown.stdout
    assert "Subject: " in shown.stdout
    assert "A mail" in shown.stdout
    assert "Slack was busy once" in shown.stdout
    assert '"event_action": "trigger"' in shown.stdout
    log = [line.split() for line in lines if line.startswith("train-") and "FAILED" in line]
    assert sorted((line[3], line[5], line[6]) for line in log) == [
        ("email", "Delivered", "1"),
        ("pagerDuty", "Delivered", "1"),
        ("slack", "Delivered", "2"),
    ]
    # A sweep is one mail with its cause, and its recovery answers in the thread.
    assert "Subject: sweep: 12 failed, first cause exit code 137 in container train" in lines
    listed = [
        line for line in lines if line.startswith("sweep-") and "FAILED, exit code 137 in container train" in line
    ]
    assert len(listed) == 12
    assert any("in the thread 2.000100: SUCCEEDED: sweep-" in line for line in lines)
    assert "1 mail and 2 messages of Slack for 13 runs" in lines
