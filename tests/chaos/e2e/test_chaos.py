"""What the operator depends on fails while executions are created: what is lost (nothing), and how it is told."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from execution_options.install import CONTROLLER
from execution_options.processes import guarded
from support.disturbance import metric, metrics, revoked
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
TOLD = {"phases": ["SUCCEEDED"], "email": {"recipients": ["team@example.com"]}}
"""Nobody is reached by it: what counts is that each end is recorded, once."""
FAILED = 'execution_options_reconciles_total{queue="options",result="error"}'


def recorded(team: Team) -> list[str]:
    """The executions whose end is recorded, as often as it is."""
    deliveries = f"/apis/execution.dev/v1beta1/namespaces/{team.namespace}/notificationdeliveries"
    return sorted(one["spec"]["execution"]["uid"] for one in team.request("GET", deliveries)["items"])


def edit(team: Team, value: str) -> None:
    team.merge("ExecutionOptions", "own", {"spec": {"labels": {"a": value}}})


def reaches_the_living(team: Team, value: str) -> None:
    eventually(lambda: team.get("Job", "living")["metadata"]["labels"]["a"] == value, timeout=60)


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
    tolerated += [r"NotificationDelivery|no channel"]
    prepared.options("told", {"labels": {"a": "told"}, "notifications": [TOLD]})
    webhook, said = operator.processes["webhook"], len(operator.log("webhook"))
    with load(prepared, job("told-", options="told"), pause=0.2) as created:
        for round_, component in enumerate(("etcd", "kube-apiserver"), 1):
            edit(prepared, str(round_))
            embedded.restart_component(component)
            if operator.processes["controller"].poll() is not None:
                # It could not renew its Lease in time and ended, as it must; the kubelet would start it again.
                operator.start("controller")
            reaches_the_living(prepared, str(round_))
            # An API server that has just started may not know its webhook entries yet: it then refuses.
            created.goes_on(stamped=True)
    operator.wait_ready("controller")
    # Who was told that an execution is created finds it, with its options; each end is recorded, once.
    jobs = [one for one in prepared.listed("Job") if one["metadata"]["name"].startswith("told-")]
    assert len(jobs) >= len([one for one in created.outcomes if one.stamped])
    assert {one["metadata"]["labels"].get("a") for one in jobs} == {"told"}
    eventually(lambda: recorded(prepared) == sorted(one["metadata"]["uid"] for one in jobs), timeout=120)
    edit(prepared, "3")
    reaches_the_living(prepared, "3")
    assert webhook.poll() is None
    assert re.search(r"WARNING execution_options\.kube\.store: /apis?/", operator.log("webhook")[said:])


def test_the_active_controller_is_killed_under_load(
    prepared: Team, operator: LocalOperator, tolerated: list[str], unused_tcp_port_factory: Callable[[], int]
) -> None:
    prepared.options("told", {"notifications": [TOLD]})
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
        eventually(lambda: recorded(prepared) == sorted(jobs), timeout=60)
        assert "did not release it" in operator.log("standby")
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
        for process in operator.processes:
            assert re.search(r"WARNING execution_options\.kube\.store: /apis?/.*: 410 Expired", operator.log(process))
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
