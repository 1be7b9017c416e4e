"""The cap holds, and every pod gets its turn, whatever fails on the way."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from execution_options.install import SYSTEM_NAMESPACE
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support.apiproxy import FaultyProxy
from support.faults import Fault, FaultyWay, Request
from support.team import working
from support.waiting import eventually

from .conftest import member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from execution_options.cluster import Cluster
    from support.concurrency import Concurrency
    from support.team import Team

pytestmark = [pytest.mark.e2e, pytest.mark.long]
LEASE = "execution-options-controller"
CAPS = {"a": 1, "b": 3, "c": 5}
PODS, MANY = 8, 100
"""Pods of each group, and the same for a test with thousands of pods."""


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The webhook. Each test starts its own controllers."""
    with LocalOperator(control_plane.kubeconfig, control_plane.context, processes=("webhook",)) as running:
        yield running
    # The next controller need not wait for one that was killed.
    control_plane.run_kubectl(["delete", "lease", LEASE, "-n", SYSTEM_NAMESPACE])


@pytest.fixture
def team(control_plane: Cluster, namespace: str, operator: LocalOperator) -> Iterator[Team]:
    with working(control_plane, namespace) as team:
        yield team


def direct(operator: LocalOperator) -> dict[str, str]:
    """The cluster of a kubeconfig for the controller."""
    config = yaml.safe_load((operator.logs / "controller.kubeconfig").read_text())
    cluster: dict[str, str] = config["clusters"][0]["cluster"]
    return cluster


def reaching(operator: LocalOperator, url: str, folder: Path) -> Path:
    """A kubeconfig for the controller that goes through a proxy."""
    config = yaml.safe_load((operator.logs / "controller.kubeconfig").read_text())
    config["clusters"][0]["cluster"] = {"server": url}
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


@contextlib.contextmanager
def controller(kubeconfig: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A controller in its own process, which is killed at the end."""
    command = [sys.executable, "-m", "execution_options", "controller", "--kubeconfig", str(kubeconfig)]
    command += ["--host", "127.0.0.1", "--health-port", "0", "--lease-duration", "2", "--resync", "2"]
    with log.open("ab") as target:
        process = subprocess.Popen(command, stdout=target, stderr=target, env=os.environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def pods(full_size: bool) -> int:
    """Number of pods of each group."""
    return MANY if full_size else PODS


def create_options(team: Team) -> None:
    for group, cap in CAPS.items():
        team.options(group, {"maxParallelism": cap})


def create_pods(team: Team, numbers: range) -> None:
    for number in numbers:
        for group in CAPS:
            team.create(member(f"{group}-{number:02}", group, "0.2s", options=group))


@pytest.mark.timeout(900)
def test_behind_a_proxy_that_drops_delays_and_repeats(
    team: Team, operator: LocalOperator, counting: Callable[..., Concurrency], tmp_path: Path, pods: int
) -> None:
    log = tmp_path / "controller.log"
    with FaultyProxy(direct(operator)["server"], seed=20261123) as proxy:
        create_options(team)
        create_pods(team, range(pods // 2))
        with counting() as runs, controller(reaching(operator, proxy.url, tmp_path), log):
            create_pods(team, range(pods // 2, pods))
            eventually(lambda: runs.done == pods * len(CAPS), timeout=15 * pods)
    print(f"\n{runs.done} pods behind {proxy.faults}; most at once: {dict(runs.most)}")
    assert runs.over(CAPS) == {}, log.read_text()
    assert len(proxy.faults) >= 6, proxy.faults  # of eleven kinds; which ones is chance


@pytest.mark.timeout(900)
def test_killed_again_and_again(
    team: Team, operator: LocalOperator, counting: Callable[..., Concurrency], tmp_path: Path, pods: int
) -> None:
    log = tmp_path / "controller.log"
    kills, total = 0, pods * len(CAPS)
    with counting() as runs:
        create_options(team)
        create_pods(team, range(pods))
        while runs.done < total:
            before = runs.done
            with controller(operator.logs / "controller.kubeconfig", log) as process:
                # In the middle of its work: as soon as a few more pods have run.
                eventually(lambda: runs.done >= min(before + total // 5 + 1, total), timeout=120)  # noqa: B023
                process.send_signal(signal.SIGKILL)
                kills += 1
    print(f"\n{runs.done} pods, {kills} controllers killed; most at once: {dict(runs.most)}")
    assert kills > 1
    assert runs.over(CAPS) == {}, log.read_text()


@pytest.mark.parametrize("late", [0.3, 0.8], ids=["answered", "given up"])
def test_one_that_is_stopped_keeps_the_lease_until_its_releases_are_over(
    team: Team, operator: LocalOperator, tmp_path: Path, late: float
) -> None:
    """A request may take half a second here; the API server may carry it out later."""
    cluster, log, holders = direct(operator), tmp_path / "controller.log", list[str]()
    way = FaultyWay(cluster["server"], base64.b64decode(cluster["certificate-authority-data"]).decode())

    def fits(request: Request) -> bool:
        return request.method == "PATCH" and request.path.endswith("/pods/p") and b"schedulingGates" in request.body

    def holder() -> str:
        lease = team.request("GET", path_of("coordination.k8s.io", "v1", "leases", SYSTEM_NAMESPACE, LEASE))
        return str(lease["spec"]["holderIdentity"])

    with way, controller(reaching(operator, way.url, tmp_path), log) as stopped:
        way.fault = Fault(fits, "before", stopped.terminate, late, lambda: holders.append(holder()))
        team.options("o", {"maxParallelism": 1})
        team.create(member("p", "g", "0.2s", options="o"))
        assert stopped.wait(30) == 0, log.read_text()
    assert len(holders) == 1
    assert holders != [""], "it gave the lease back while its release was under way"
    assert holder() == ""
    assert "schedulingGates" not in team.get("Pod", "p")["spec"]
