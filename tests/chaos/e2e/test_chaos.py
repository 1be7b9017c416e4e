"""What the operator depends on fails while executions are created: what is lost (nothing), and how it is told."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from execution_options.certificates.authority import Policy, create_authority, issue, serving_names
from execution_options.certificates.material import Material, encode
from execution_options.cluster.process import guarded
from execution_options.install import CONTROLLER, SYSTEM_NAMESPACE, TLS_SECRET, WEBHOOK
from execution_options.kube.client import path_of
from support.expiry import ExpiringProxy
from support.load import load
from support.team import RefusedError
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import ControlPlane
    from execution_options.local import LocalOperator
    from support.team import Team

pytestmark = pytest.mark.e2e

REFERENCED = job("referenced-", options="own", spec={"suspend": True})
FAILED = 'execution_options_reconciles_total{queue="options",result="error"}'
RBAC = ("rbac.authorization.k8s.io", "v1")


@pytest.fixture
def prepared(team: Team) -> Team:
    team.options("own", {"labels": {"a": "0"}})
    team.create(job("living", options="own", spec={"suspend": True}))
    return team


def edit(team: Team, value: str) -> None:
    team.merge("ExecutionOptions", "own", {"spec": {"labels": {"a": value}}})


def reaches_the_living(team: Team, value: str) -> None:
    eventually(lambda: team.get("Job", "living")["metadata"]["labels"]["a"] == value, timeout=60)


@contextmanager
def revoked(team: Team, role: str) -> Iterator[None]:
    """Nobody has the role meanwhile."""
    path = path_of(*RBAC, "clusterroles", "", role)
    before = team.request("GET", path)["rules"]
    team.request("PATCH", path, {"rules": []}, "application/merge-patch+json")
    try:
        yield
    finally:
        team.request("PATCH", path, {"rules": before}, "application/merge-patch+json")


def metrics(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        page: str = answer.read().decode()
    return page.splitlines()


def metric(operator: LocalOperator, process: str, name: str) -> float:
    lines = metrics(operator.url(process, "/metrics"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@contextmanager
def standby(operator: LocalOperator, probes: int) -> Iterator[str]:
    """One more controller, ready to take over; URL of its metrics. It logs beside the others."""
    command = [sys.executable, "-m", "execution_options", "controller", "--lease-duration", "15"]
    command += ["--kubeconfig", str(operator.logs / "controller.kubeconfig"), "--host", "127.0.0.1"]
    url = f"http://127.0.0.1:{probes}/metrics"
    with (operator.logs / "standby.log").open("ab") as log:
        process = subprocess.Popen(
            guarded([*command, "--health-port", str(probes)]), stdout=log, stderr=log, process_group=0
        )
    try:
        eventually(lambda: "execution_options_leader 0.0" in metrics(url), retry_on=(OSError,))
        yield url
    finally:
        process.terminate()
        assert process.wait(30) == 0


@contextmanager
def through(operator: LocalOperator, proxy: ExpiringProxy) -> Iterator[None]:
    """Both processes, started anew, reach the API server by a proxy meanwhile."""
    files = {name: operator.logs / f"{name}.kubeconfig" for name in operator.processes}
    before = {name: file.read_text() for name, file in files.items()}

    def restart(texts: dict[str, str]) -> None:
        for name, text in texts.items():
            files[name].write_text(text)
            operator.kill(name, signal.SIGTERM)
            operator.start(name)
        for name in texts:
            operator.wait_ready(name)

    there = {name: yaml.safe_load(text) for name, text in before.items()}
    for document in there.values():
        document["clusters"][0]["cluster"] = {"server": proxy.url}
    restart({name: yaml.safe_dump(document) for name, document in there.items()})
    try:
        yield
    finally:
        restart(before)


def test_the_api_server_and_etcd_are_restarted_under_load(
    embedded: ControlPlane, prepared: Team, operator: LocalOperator, tolerated: list[str]
) -> None:
    tolerated += [r"WARNING execution_options\.(kube|certificates|webhook|controller)\.", r"(WARNING|ERROR) kopf\."]
    webhook = operator.processes["webhook"]
    for round_, component in enumerate(("etcd", "kube-apiserver"), 1):
        edit(prepared, str(round_))
        embedded.restart_component(component)
        if operator.processes["controller"].poll() is not None:
            # It could not renew its Lease in time and ended, as it must; the kubelet would start it again.
            operator.start("controller")
        reaches_the_living(prepared, str(round_))
    # An API server that has just started may not know its webhook entries yet: it then refuses.
    made = eventually(lambda: prepared.create(REFERENCED), retry_on=(Exception,))
    assert made["metadata"]["labels"]["a"] == "2"
    edit(prepared, "3")
    reaches_the_living(prepared, "3")
    assert webhook.poll() is None


def test_the_active_controller_is_killed_under_load(
    prepared: Team, operator: LocalOperator, tolerated: list[str], unused_tcp_port_factory: Callable[[], int]
) -> None:
    # Nobody is reached: what counts is that each end is recorded, once.
    told = {"phases": ["SUCCEEDED"], "email": {"recipients": ["team@example.com"]}}
    prepared.options("told", {"notifications": [told]})
    deliveries = f"/apis/execution.dev/v1beta1/namespaces/{prepared.namespace}/notificationdeliveries"
    jobs: list[str] = []

    def goes_on() -> None:
        jobs.append(prepared.create(job("told-", options="told"))["metadata"]["uid"])

    def taken_over() -> bool:
        goes_on()
        return "execution_options_leader 1.0" in metrics(url)

    tolerated += [r"NotificationDelivery|no channel"]
    with standby(operator, unused_tcp_port_factory()) as url:
        for _ in range(5):
            goes_on()
        operator.kill("controller")
        killed = time.monotonic()
        edit(prepared, "meanwhile")
        eventually(taken_over, timeout=60, interval=0.5)
        assert time.monotonic() - killed < 20
        reaches_the_living(prepared, "meanwhile")

        def recorded() -> list[str]:
            return sorted(one["spec"]["execution"]["uid"] for one in prepared.request("GET", deliveries)["items"])

        eventually(lambda: recorded() == sorted(jobs), timeout=60)
    operator.start("controller")
    operator.wait_ready("controller")


def test_who_is_told_that_all_is_too_old_lists_again(
    prepared: Team, operator: LocalOperator, tolerated: list[str]
) -> None:
    tolerated += [r"WARNING .*410 Expired", r"(WARNING|ERROR) kopf\."]
    config = yaml.safe_load((operator.logs / "controller.kubeconfig").read_text())
    prepared.options("going", {"labels": {"a": "going"}})
    with ExpiringProxy(config["clusters"][0]["cluster"]["server"]) as proxy, through(operator, proxy):
        assert proxy.faults["410 of a list"] > 0  # they are ready nevertheless
        edit(prepared, "1")
        reaches_the_living(prepared, "1")
        with proxy.expired():
            edit(prepared, "2")
            prepared.request("DELETE", prepared.path("ExecutionOptions", "going"))
            prepared.options("coming", {"labels": {"a": "coming"}})
            # The webhook asks before it answers, whatever became of its watches.
            assert prepared.create(REFERENCED)["metadata"]["labels"]["a"] == "2"
            assert prepared.create(job("c-", options="coming"))["metadata"]["labels"]["a"] == "coming"
            with pytest.raises(RefusedError, match="going"):
                prepared.create(job("g-", options="going"))
            eventually(lambda: proxy.faults["410 of a watch"] > 10)
        reaches_the_living(prepared, "2")
        eventually(lambda: prepared.get("ExecutionOptions", "coming").get("status"))
        edit(prepared, "3")
        reaches_the_living(prepared, "3")
        assert proxy.faults["expired"] > 5, proxy.faults
        assert all(process.poll() is None for process in operator.processes.values())


def test_a_revoked_right_is_told_and_what_waited_for_it_is_done(
    prepared: Team, operator: LocalOperator, tolerated: list[str]
) -> None:
    tolerated += [r"403|[Ff]orbidden"]
    before = metric(operator, "controller", FAILED)
    with revoked(prepared, CONTROLLER):
        edit(prepared, "later")
        eventually(lambda: metric(operator, "controller", FAILED) > before, timeout=60)
        assert re.search(rf"ExecutionOptions/{prepared.namespace}/own: 403 ", operator.log("controller"))
    reaches_the_living(prepared, "later")
    assert metric(operator, "controller", "execution_options_leader ") == 1


def test_the_webhook_answers_from_memory_while_it_may_not_list(
    prepared: Team, operator: LocalOperator, tolerated: list[str]
) -> None:
    tolerated += [r"403|[Ff]orbidden"]
    with revoked(prepared, WEBHOOK), load(prepared, REFERENCED) as referenced:
        eventually(lambda: "403" in operator.log("webhook") or "orbidden" in operator.log("webhook"))
        referenced.goes_on(stamped=True)
    assert referenced.refused == []


def test_a_certificate_that_expired_while_nothing_ran_is_replaced(
    prepared: Team, operator: LocalOperator, tolerated: list[str]
) -> None:
    long_ago, policy = datetime.now(UTC) - timedelta(days=1000), Policy()
    authority = create_authority(long_ago, policy)
    expired = Material(authority, issue(authority, serving_names(WEBHOOK, SYSTEM_NAMESPACE), long_ago, policy))
    data = {key: base64.b64encode(value).decode() for key, value in encode(expired).items()}
    path = path_of("", "v1", "secrets", SYSTEM_NAMESPACE, TLS_SECRET)
    operator.kill("webhook")
    try:
        prepared.request("PATCH", path, {"data": data}, "application/merge-patch+json")
    finally:
        operator.start("webhook")
    operator.wait_ready("webhook")
    with load(prepared, REFERENCED) as referenced:
        referenced.goes_on(stamped=True)
    expires = metric(operator, "webhook", "execution_options_certificate_expires_timestamp_seconds")
    assert expires > datetime.now(UTC).timestamp()


def test_what_is_told_in_numbers_is_documented(prepared: Team, operator: LocalOperator) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    cells = re.findall(r"^\| (`execution_options_.*?) \|", page, re.MULTILINE)
    documented = {
        name: set(labels.split(",")) - {""}
        for cell in cells
        for name, labels in re.findall(r"`(execution_options_\w+)(?:\{([\w,]+)\})?`", cell)
    }
    told: dict[str, set[str]] = {}
    for process in operator.processes:
        for line in metrics(operator.url(process, "/metrics")):
            family = re.match(r"# TYPE (\S+) ", line)
            if family is not None:
                told[family[1]] = set()
                last = family[1]
            elif not line.startswith("#"):
                told[last] |= set(re.findall(r'[{,](\w+)="', line)) - {"le"}
    assert told.keys() == documented.keys()
    # A metric that has counted nothing yet has no labels.
    assert {name: labels for name, labels in told.items() if labels and labels != documented[name]} == {}
    assert sum(bool(labels) for labels in told.values()) > 3
