"""Plain kopf runs the operator: ``kopf run -m execution_options.controller.handlers --all-namespaces``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.waiting import eventually

from .conftest import LEASE, Api, Team, free_lease
from .test_processes import STOP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.long]

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
COMMAND = "kopf run -m execution_options.controller.handlers --all-namespaces"


class Running:
    """kopf's own command, with a port for its probes."""

    def __init__(self, kubeconfig: Path, log: Path, *more: str) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{one.getsockname()[1]}/healthz"
        self._log = log
        command = [sys.executable, "-m", *COMMAND.split(), "--liveness", self.url, *more]
        with log.open("ab") as target:
            self.process = subprocess.Popen(
                command, stdout=target, stderr=target, env={**os.environ, "KUBECONFIG": str(kubeconfig)}
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def probes(self) -> dict[str, Any]:
        assert self.process.poll() is None, self.log
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return dict(json.loads(answer.read()))
        except OSError:
            return {}

    def active(self) -> Running:
        eventually(lambda: self.probes() and "active:" in self.log, timeout=90)
        return self


@pytest.fixture
def running(api: Api, controllers_kubeconfig: Path, tmp_path: Path) -> Iterator[Running]:
    free_lease(api)
    one = Running(controllers_kubeconfig, tmp_path / "log")
    yield one
    if one.process.poll() is None:
        one.process.kill()
        one.process.wait()
    free_lease(api)


def test_edits_reach_executions_and_nothing_of_kopfs_is_on_any_object(running: Running, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    running.active()
    team.job("j")
    for value in ("2", "3"):
        team.edit("o", {"labels": {"a": value}})
        eventually(lambda value=value: team.labels("jobs", "j") == {"a": value})
    eventually(lambda: team.condition("o", "Ready")["status"] == "True")
    metadata = team.get("executionoptions", "o")["metadata"]
    assert "finalizers" not in metadata
    assert "annotations" not in metadata
    assert "kopf" not in json.dumps(team.get("jobs", "j"))
    events = team.api.get(f"/apis/events.k8s.io/v1/namespaces/{team.namespace}/events")["items"]
    assert not [event for event in events if "kopf" in json.dumps(event)]
    assert running.probes()["healthy"] == "ok"
    team.api.delete(team.path("executionoptions", "o"))
    eventually(lambda: team.api.find(team.path("executionoptions", "o")) is None)
    assert "succeeded" not in running.log


def test_it_ends_in_order_and_gives_the_lease_back(running: Running, team: Team) -> None:
    assert COMMAND in OPERATIONS.read_text()
    running.active()
    reported = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0, running.log
    assert time.monotonic() - reported < STOP_SECONDS
    assert team.api.get(LEASE)["spec"]["holderIdentity"] == ""
    assert "WARN" not in running.log
    assert "ERROR" not in running.log


def test_it_ends_with_an_error_where_it_loses_its_lease(running: Running, team: Team) -> None:
    running.active()
    team.api.merge(LEASE, {"spec": {"holderIdentity": "somebody else"}})
    assert running.process.wait(30) == 1
    assert "was taken by somebody else" in running.log


def test_it_serves_no_single_namespace(controllers_kubeconfig: Path, tmp_path: Path) -> None:
    env = {**os.environ, "KUBECONFIG": str(controllers_kubeconfig)}
    command = [sys.executable, "-m", *COMMAND.removesuffix("--all-namespaces").split(), "--namespace", "team"]
    answer = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 1
    assert "run it with --all-namespaces" in answer.stderr
