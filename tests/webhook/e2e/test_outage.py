"""The webhook goes away and comes back, and so does the API server, while executions are created."""

from __future__ import annotations

import ssl
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from execution_options.install import WEBHOOK_CONFIGURATION
from execution_options.processes import guarded
from support.balancer import balanced
from support.load import load
from support.team import RefusedError
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import ControlPlane
    from execution_options.local import LocalOperator
    from support.team import Manifest, Team

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SELECTED = job("selected-", spec={"suspend": True})
REFERENCED = job("referenced-", options="own", spec={"suspend": True})


@pytest.fixture
def prepared(team: Team) -> Team:
    team.options("all", {"selector": {}, "labels": {"a": "all"}})
    team.options("own", {"labels": {"a": "own"}})
    return team


def unstamped(team: Team, prefix: str) -> int:
    return len([one for one in team.listed("Job", "!execution.dev/id") if one["metadata"]["name"].startswith(prefix)])


def test_while_the_webhook_is_down_only_what_needs_options_waits(prepared: Team, webhook: LocalOperator) -> None:
    with load(prepared, SELECTED) as selected, load(prepared, REFERENCED) as referenced:
        selected.goes_on(stamped=True)
        referenced.goes_on(stamped=True)
        webhook.kill("webhook")
        try:
            selected.goes_on()
            referenced.goes_on(refused=True)
        finally:
            webhook.start("webhook")
            webhook.wait_ready("webhook")
        selected.goes_on(stamped=True)
        referenced.goes_on(stamped=True)
    assert selected.refused == []
    assert all("failed calling webhook" in reason for reason in referenced.refused)
    # Every request got what its answer promised.
    assert unstamped(prepared, "selected-") == len([one for one in selected.outcomes if not one.stamped])
    assert unstamped(prepared, "referenced-") == 0


def test_a_namespace_that_asks_for_it_admits_nothing_meanwhile(prepared: Team, webhook: LocalOperator) -> None:
    prepared.label_namespace(failure_policy="Fail")
    name = prepared.create(SELECTED)["metadata"]["name"]
    with load(prepared, SELECTED) as selected:
        selected.goes_on(stamped=True)
        webhook.kill("webhook")
        try:
            # The API server follows the namespace's labels by a watch of its own.
            selected.goes_on(refused=True)
            with pytest.raises(RefusedError, match=r"kept\.executions\.execution\.dev"):
                prepared.merge("Job", name, {"metadata": {"labels": {"a": None}}})
            engine = "--as=system:serviceaccount:jobset-system:jobset-controller-manager"
            prepared.kubectl("label", f"job/{name}", "going=on", engine, "--as-group=system:masters")
        finally:
            webhook.start("webhook")
            webhook.wait_ready("webhook")
        selected.goes_on(stamped=True)
        prepared.merge("Job", name, {"metadata": {"labels": {"mine": "1"}}})
        assert all("required.executions.execution.dev" in reason for reason in selected.refused)
    assert unstamped(prepared, "selected-") == len(
        [one for one in selected.outcomes if not (one.stamped or one.refused)]
    )


def test_updates_do_not_wait_for_a_webhook_that_is_down(prepared: Team, webhook: LocalOperator) -> None:
    name = prepared.create(SELECTED)["metadata"]["name"]
    webhook.kill("webhook")
    try:
        after = prepared.merge("Job", name, {"metadata": {"labels": {"mine": "1"}}})
    finally:
        webhook.start("webhook")
        webhook.wait_ready("webhook")
    assert after["metadata"]["labels"]["mine"] == "1"


def test_it_recovers_from_a_restart_of_the_api_server(
    embedded: ControlPlane, prepared: Team, webhook: LocalOperator, tolerated: list[str]
) -> None:
    tolerated += [r"WARNING execution_options\.(kube\.store|certificates\.\w+|webhook\.\w+): "]
    pid = webhook.processes["webhook"].pid
    for _ in range(2):
        embedded.restart_component("kube-apiserver")
        prepared.merge("ExecutionOptions", "own", {"spec": {"labels": {"b": "edited"}}})
        # Right after its start an API server may not know its webhook entries yet: it then refuses.
        eventually(lambda: prepared.create(REFERENCED)["metadata"]["labels"]["b"] == "edited", retry_on=(Exception,))
        prepared.merge("ExecutionOptions", "own", {"spec": {"labels": {"b": None}}})
    assert webhook.processes["webhook"].poll() is None
    assert webhook.processes["webhook"].pid == pid
    assert "Traceback" not in webhook.log("webhook")


class Replica:
    """One more process of the webhook."""

    def __init__(self, operator: LocalOperator, port: int, probes: int) -> None:
        self.ports = (port, probes)
        log = operator.logs / f"replica-{port}.log"
        command = [sys.executable, "-m", "execution_options", "webhook", "--host", "127.0.0.1"]
        command += ["--kubeconfig", str(operator.logs / "webhook.kubeconfig")]
        command += ["--port", str(port), "--health-port", str(probes), "--linger-seconds", "1"]
        with log.open("ab") as target:
            self.process = subprocess.Popen(guarded(command), stdout=target, stderr=target, process_group=0)

    def stop(self) -> None:
        """Tell it to end, as a rolling update does, and wait until it has."""
        self.process.terminate()
        assert self.process.wait(30) == 0


@contextmanager
def called_at(team: Team, webhook: LocalOperator, port: int) -> Iterator[None]:
    """The API server calls another port meanwhile."""
    path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{WEBHOOK_CONFIGURATION}"
    count = len(team.request("GET", path)["webhooks"])

    def call(at: int) -> Manifest:
        change = [
            {"op": "replace", "path": f"/webhooks/{number}/clientConfig/service/port", "value": at}
            for number in range(count)
        ]
        return team.request("PATCH", path, change, "application/json-patch+json")

    call(port)
    try:
        yield
    finally:
        call(webhook.webhook_port)


def certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_replicas_agree_and_stop_one_after_the_other_without_a_refused_request(
    prepared: Team, webhook: LocalOperator, unused_tcp_port_factory: Callable[[], int]
) -> None:
    replicas = [Replica(webhook, unused_tcp_port_factory(), unused_tcp_port_factory()) for _ in range(3)]
    first, second, third = replicas
    third.process.kill()  # it comes later
    try:
        with balanced([one.ports for one in replicas]) as balancer:
            eventually(lambda: len(balancer.ready) == 2)
            assert certificate(first.ports[0]) == certificate(second.ports[0]) == certificate(webhook.webhook_port)
            with called_at(prepared, webhook, balancer.port), load(prepared, REFERENCED, workers=3) as referenced:
                referenced.goes_on(stamped=True, times=12)
                first.stop()
                referenced.goes_on(stamped=True, times=12)
                replicas.append(Replica(webhook, *third.ports))
                eventually(lambda: balancer.ready == [second.ports[0], third.ports[0]])
                second.stop()
                referenced.goes_on(stamped=True, times=12)
            assert referenced.refused == []
            assert unstamped(prepared, "referenced-") == 0
    finally:
        for replica in replicas:
            replica.process.kill()
            replica.process.wait()
