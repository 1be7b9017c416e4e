"""The embedded control plane survives its components and never outlives its parent."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from execution_options.cluster import ClusterError
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.cluster import ControlPlane

pytestmark = pytest.mark.e2e

_TIED = """
import sys, time
from pathlib import Path
from execution_options.cluster import ControlPlane
cluster = ControlPlane.start("tied", root=Path(sys.argv[1]))
print("ready", flush=True)
time.sleep(600)
"""


def processes(root: Path) -> list[str]:
    listing = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(root) in line]


def test_the_api_server_comes_back_with_its_data(embedded: ControlPlane, namespace: str) -> None:
    embedded.run_kubectl(["create", "configmap", "kept", "-n", namespace, "--from-literal=key=value"])
    embedded.restart_component("kube-apiserver")
    assert embedded.run_kubectl(["get", "configmap", "kept", "-n", namespace, "-o", "jsonpath={.data.key}"]).stdout == (
        "value"
    )
    assert next(one for one in embedded.components() if one.name == "kube-apiserver").restarts >= 1


@pytest.mark.parametrize("name", ["etcd", "kube-controller-manager", "kube-scheduler", "kwok"])
def test_jobs_complete_after_any_component_died(embedded: ControlPlane, namespace: str, name: str) -> None:
    embedded.restart_component(name)
    embedded.wait_healthy("kube-apiserver")
    eventually(
        lambda: embedded.run_kubectl(["create", "job", "after", "-n", namespace, "--image=none"]),
        retry_on=(ClusterError,),
    )
    embedded.run_kubectl(["wait", "job/after", "-n", namespace, "--for=condition=Complete", "--timeout=60s"])


def test_an_unknown_component_is_reported(embedded: ControlPlane) -> None:
    with pytest.raises(ClusterError, match="no component 'kubelet'; there are etcd, kube-apiserver"):
        embedded.kill_component("kubelet")


def test_kubectl_failures_carry_its_message(embedded: ControlPlane) -> None:
    with pytest.raises(ClusterError, match=r"kubectl failed: .*not found"):
        embedded.run_kubectl(["get", "namespace", "missing"])


def test_a_killed_parent_leaves_no_process_and_no_state(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _TIED, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert len(processes(tmp_path)) >= 6
        parent.kill()
    eventually(lambda: not processes(tmp_path))
    assert not (tmp_path / "tied").exists()
