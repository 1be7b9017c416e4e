"""The real thing, installed where ``execution-options run`` was before: it ended, or it was killed."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.cluster import ControlPlane
from execution_options.cluster.progress import Progress
from execution_options.install import SYSTEM_NAMESPACE, WEBHOOK
from support import helm3
from support.commands import execution_options, started
from support.release import CHART, Release
from support.team import working
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.long]

PLAIN = Path(__file__).parents[3] / "deploy/install.yaml"


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster in which nothing was ever installed."""
    with ControlPlane.start("run", root=tmp_path / "clusters") as cluster:
        yield cluster


def ran(cluster: ControlPlane, *, killed: bool) -> None:
    """Have `run` be ready, and end."""
    with started("run", kubeconfig=cluster.kubeconfig) as process:
        process.waits_for("the operator is ready")
        if killed:
            process.kill()
            process.wait(20)
        else:
            process.terminate()
            assert process.wait(40) == 0


def service(cluster: ControlPlane) -> Any:
    answer = cluster.run_kubectl(["get", "service", WEBHOOK, "-n", SYSTEM_NAMESPACE, "-o", "json"])
    return json.loads(answer.stdout)["spec"]


def ready(probes: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{probes}/readyz", timeout=5):
            return True
    except OSError:
        return False


def works(cluster: ControlPlane, folder: Path, port: Callable[[], int]) -> None:
    """Whether what was installed gives options, with its own processes and rights."""
    spec = service(cluster)
    assert spec["type"] == "ClusterIP"
    assert spec["clusterIP"].count(".") == 3
    second = execution_options("run", kubeconfig=cluster.kubeconfig)
    assert second.err == "Error: the operator is installed in this cluster already\n"
    release = Release(cluster, folder, SYSTEM_NAMESPACE, "execution-options")
    here = port()
    try:
        webhook = release.process("webhook", here, port())
        eventually(lambda: ready(webhook.probes), timeout=60)
        release.call(here)
        with working(cluster, "default") as team:
            team.options("own", {"labels": {"a": "1"}})
            assert team.create(job(options="own"))["metadata"]["labels"]["a"] == "1"
        assert webhook.stop() == 0
    finally:
        release.stop()


@pytest.fixture(params=["Helm 4", pytest.param(helm3.NAME, marks=pytest.mark.engines)])
def helm(request: pytest.FixtureRequest, alone: ControlPlane) -> Path:
    """The program, of either version."""
    return helm3.build(Progress()) if request.param == helm3.NAME else alone.find_helm()


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_helm_installs_over_what_is_left(
    alone: ControlPlane, helm: Path, tmp_path: Path, unused_tcp_port_factory: Callable[[], int], killed: bool
) -> None:
    ran(alone, killed=killed)
    release = Release(alone, tmp_path, SYSTEM_NAMESPACE, "execution-options", helm)
    # Helm 4 calls what differs a conflict with whoever wrote it, and says so.
    force = ["--force-conflicts"] if killed and helm == alone.find_helm() else []
    release.helm("install", str(CHART), *force)
    works(alone, tmp_path, unused_tcp_port_factory)


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_plain_manifests_are_applied_over_what_is_left(
    alone: ControlPlane, tmp_path: Path, unused_tcp_port_factory: Callable[[], int], killed: bool
) -> None:
    ran(alone, killed=killed)
    alone.run_kubectl(["apply", "-f", str(PLAIN)])
    works(alone, tmp_path, unused_tcp_port_factory)
