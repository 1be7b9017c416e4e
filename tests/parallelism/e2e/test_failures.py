"""The cap holds, and everybody gets his turn, whatever fails on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from execution_options.install import SYSTEM_NAMESPACE
from execution_options.local import LocalOperator
from support.apiproxy import FaultyProxy
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
PODS = 8
"""Of each group."""


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The webhook; controllers are each test's own."""
    with LocalOperator(control_plane.kubeconfig, control_plane.context, processes=("webhook",)) as running:
        yield running
    # Whoever comes next need not wait for one who was killed.
    control_plane.run_kubectl(["delete", "lease", LEASE, "-n", SYSTEM_NAMESPACE])


@pytest.fixture
def team(control_plane: Cluster, namespace: str, operator: LocalOperator) -> Iterator[Team]:
    with working(control_plane, namespace) as team:
        yield team


@contextlib.contextmanager
def controller(kubeconfig: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A controller as a process of its own; killed in the end."""
    command = [sys.executable, "-m", "execution_options", "controller", "--kubeconfig", str(kubeconfig)]
    command += ["--host", "127.0.0.1", "--health-port", "0", "--lease-duration", "2", "--resync", "2"]
    with log.open("ab") as target:
        process = subprocess.Popen(command, stdout=target, stderr=target, env=os.environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def create_all(team: Team) -> None:
    for group, cap in CAPS.items():
        team.options(group, {"maxParallelism": cap})
    for number in range(PODS):
        for group in CAPS:
            team.create(member(f"{group}-{number:02}", group, "0.2s", options=group))


def test_behind_a_proxy_that_drops_delays_and_repeats(
    team: Team, operator: LocalOperator, counting: Callable[..., Concurrency], tmp_path: Path
) -> None:
    config = yaml.safe_load((operator.logs / "controller.kubeconfig").read_text())
    server = config["clusters"][0]["cluster"]["server"]
    log = tmp_path / "controller.log"
    with FaultyProxy(server, seed=20261123) as proxy:
        config["clusters"][0]["cluster"] = {"server": proxy.url}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        with controller(kubeconfig, log), counting() as runs:
            create_all(team)
            eventually(lambda: runs.done == PODS * len(CAPS), timeout=120)
    assert all(runs.most[group] <= cap for group, cap in CAPS.items()), (runs.most, log.read_text())
    assert len(proxy.faults) >= 6, proxy.faults  # of eleven kinds; which ones is chance


def test_killed_again_and_again(
    team: Team, operator: LocalOperator, counting: Callable[..., Concurrency], tmp_path: Path
) -> None:
    log = tmp_path / "controller.log"
    kills = 0
    with counting() as runs:
        create_all(team)
        while runs.done < PODS * len(CAPS):
            before = runs.done
            with controller(operator.logs / "controller.kubeconfig", log) as process:
                # In the midst of its work: as soon as a few more have run.
                eventually(lambda: runs.done >= min(before + 5, PODS * len(CAPS)), timeout=60)  # noqa: B023
                process.send_signal(signal.SIGKILL)
                kills += 1
    assert kills > 1
    assert all(runs.most[group] <= cap for group, cap in CAPS.items()), (runs.most, log.read_text())
