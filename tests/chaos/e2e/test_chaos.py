"""What the operator depends on fails while executions are created: what is lost (nothing), and how it is told."""

from __future__ import annotations

import base64
import re
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from execution_options.certificates.authority import Policy, create_authority, issue, serving_names
from execution_options.certificates.material import Material, encode
from execution_options.install import CONTROLLER, SYSTEM_NAMESPACE, TLS_SECRET, WEBHOOK
from execution_options.kube.client import path_of
from support.load import load
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def metric(operator: LocalOperator, process: str, name: str) -> float:
    with urllib.request.urlopen(operator.url(process, "/metrics"), timeout=5) as answer:
        page = answer.read().decode()
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))


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
