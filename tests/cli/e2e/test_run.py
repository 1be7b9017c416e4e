"""``run``: the whole operator on this machine, and nothing of it afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from execution_options.install import WEBHOOK_CONFIGURATION
from support.team import working
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

pytestmark = pytest.mark.e2e


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found] + [one for child in found for one in children(int(child))]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_interrupted_and_leaves_nothing(
    control_plane: Cluster, namespace: str, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "execution_options", "run", "--kubeconfig", str(control_plane.kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("the operator is ready; logs: "), process.stderr and process.stderr.read()
            logs = Path(line.removeprefix("the operator is ready; logs: ").partition(";")[0])
            assert {log.name for log in logs.glob("*.log")} == {"webhook.log", "controller.log"}
            assert {oct(one.stat().st_mode & 0o777) for one in logs.glob("*.kubeconfig")} == {"0o600"}
            with working(control_plane, namespace) as team:
                team.options("all", {"selector": {}, "labels": {"a": "1"}})
                assert team.create(job())["metadata"]["labels"]["a"] == "1"
            started = children(process.pid)
            assert len(started) >= 2
            process.send_signal(number)
            process.send_signal(number)  # impatience changes nothing
            assert process.wait(40) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
    eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in started))
    assert not logs.exists()
    left = control_plane.run_kubectl(["get", "mutatingwebhookconfigurations", "-o", "name"]).stdout
    assert WEBHOOK_CONFIGURATION not in left
