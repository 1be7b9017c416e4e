"""``run``: the whole operator on this machine, and nothing of it afterwards."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from execution_options.install import WEBHOOK, WEBHOOK_CONFIGURATION, rbac
from execution_options.install.local import LOCAL_PROCESS, local_webhook
from execution_options.install.policies import policies
from execution_options.local import LocalOperator, OperatorFailedError
from support.commands import execution_options, started
from support.elsewhere import run_elsewhere
from support.team import working
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.cluster import Cluster

pytestmark = pytest.mark.e2e

KEPT = {"Namespace", "ServiceAccount"}


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found] + [one for child in found for one in children(int(child))]


def left(cluster: Cluster) -> list[str]:
    """What is in the cluster of all that `run` puts there, but for what users' objects need."""
    found = []
    for manifest in [*local_webhook(0), *policies(), *rbac()]:
        metadata, kind = manifest["metadata"], manifest["kind"]
        namespace = ["-n", metadata["namespace"]] if "namespace" in metadata else []
        arguments = ["get", kind, metadata["name"], *namespace, "-o", "name", "--ignore-not-found"]
        if kind not in KEPT and cluster.run_kubectl(arguments).stdout:
            found.append(f"{kind}/{metadata['name']}")
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_runs_until_it_is_interrupted_and_leaves_nothing(
    control_plane: Cluster, namespace: str, number: signal.Signals
) -> None:
    with started("run", kubeconfig=control_plane.kubeconfig) as process, working(control_plane, namespace) as team:
        line = process.waits_for("the operator is ready; logs: ")
        logs = Path(line.removeprefix("the operator is ready; logs: ").partition(";")[0])
        assert {log.name for log in logs.glob("*.log")} == {"webhook.log", "controller.log"}
        assert {oct(one.stat().st_mode & 0o777) for one in logs.glob("*.kubeconfig")} == {"0o600"}
        team.options("all", {"selector": {}, "labels": {"a": "1"}})
        assert team.create(job())["metadata"]["labels"]["a"] == "1"
        processes = children(process.pid)
        assert len(processes) >= 2
        process.send_signal(number)
        process.send_signal(number)  # impatience changes nothing
        assert process.wait(40) == 0
        message = process.rest()
        assert "Traceback" not in message
        assert "stopped: " in message
        eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in processes))
        assert not logs.exists()
        assert left(control_plane) == []
        # What users have stays, and what it needs.
        assert team.get("ExecutionOptions", "all")["spec"]["labels"] == {"a": "1"}
        assert team.create(job("later"))["metadata"].get("labels", {}).get("a") is None


def test_it_removes_the_traces_of_one_that_was_killed(control_plane: Cluster, namespace: str) -> None:
    with started("run", kubeconfig=control_plane.kubeconfig) as killed:
        killed.waits_for("the operator is ready")
        again = execution_options("run", kubeconfig=control_plane.kubeconfig)
        assert again.code == 1
        assert again.err == f"Error: the operator runs on this machine already, as process {killed.pid}\n"
        killed.kill()
        killed.wait(20)
    assert {f"Service/{WEBHOOK}", f"MutatingWebhookConfiguration/{WEBHOOK_CONFIGURATION}"} <= set(left(control_plane))
    # Another process may have its number by now.
    taken = f"{LOCAL_PROCESS}=1 of-another-start"
    control_plane.run_kubectl(["annotate", "--overwrite", "service", WEBHOOK, "-n", "execution-options-system", taken])
    with started("run", kubeconfig=control_plane.kubeconfig) as process, working(control_plane, namespace) as team:
        process.waits_for("the operator is ready")
        team.options("own", {"labels": {"a": "1"}})
        assert team.create(job(options="own"))["metadata"]["labels"]["a"] == "1"
        process.terminate()
        assert process.wait(40) == 0
    assert left(control_plane) == []


def test_an_api_server_that_calls_nobody_here_is_an_error(
    control_plane: Cluster, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """The webhook listens, but not where the API server calls it."""
    elsewhere = ("--port", str(unused_tcp_port_factory()))
    operator = LocalOperator(control_plane.kubeconfig, control_plane.context, webhook=elsewhere, processes=("webhook",))
    with pytest.raises(OperatorFailedError, match=r"does not reach the webhook on this machine.*connection refused"):
        operator.__enter__()
    assert operator.processes == {}
    assert left(control_plane) == []


def test_an_api_server_with_a_loopback_of_its_own_is_an_error(control_plane: Cluster, tmp_path: Path) -> None:
    """As in kind: its port is on this machine's loopback, its own loopback is another one."""
    answer = run_elsewhere("run", kubeconfig=control_plane.kubeconfig, folder=tmp_path)
    assert answer.code == 1
    assert "ready" not in answer.out
    assert "does not reach the webhook on this machine" in answer.err
    assert "connection refused" in answer.err
    assert (
        "use the embedded control plane ('execution-options cluster up'), or install the operator by Helm" in answer.err
    )
    assert "Traceback" not in answer.err
    assert left(control_plane) == []
