"""The webhook is away, may not ask, or comes back to a certificate that has expired, while executions are created."""

from __future__ import annotations

import base64
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from execution_options.certificates.authority import Policy, create_authority, issue, serving_names
from execution_options.certificates.material import Material, encode
from execution_options.install import SYSTEM_NAMESPACE, TLS_SECRET, WEBHOOK
from execution_options.kube.client import path_of
from support.disturbance import metric, revoked
from support.load import load
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from execution_options.local import LocalOperator
    from support.team import Team

pytestmark = pytest.mark.e2e

REFERENCED = job("referenced-", options="own", spec={"suspend": True})


def condition(team: Team, name: str, type_: str) -> str:
    """What a condition of options says."""
    found = team.get("ExecutionOptions", name).get("status", {}).get("conditions", ())
    return "".join(one["message"] for one in found if one["type"] == type_)


def test_the_webhook_is_stopped_under_load(prepared: Team, operator: LocalOperator, tolerated: list[str]) -> None:
    tolerated += [r"created past the webhook"]
    prepared.options("all", {"selector": {"names": ["selected-*"]}, "labels": {"a": "all"}})
    missed = 'execution_options_missed_total{engine="job"}'
    before = metric(operator, "controller", missed)
    selected = job("selected-", spec={"suspend": True})
    with load(prepared, selected, pause=0.1) as may, load(prepared, REFERENCED, pause=0.1) as must:
        may.goes_on(stamped=True)
        must.goes_on(stamped=True)
        operator.kill("webhook", signal.SIGTERM)
        try:
            may.goes_on()
            must.goes_on(refused=True)
        finally:
            operator.start("webhook")
            operator.wait_ready("webhook")
        may.goes_on(stamped=True)
        must.goes_on(stamped=True)
    # Those who need options were told that there are none, those who may have them were not kept.
    assert may.refused == []
    assert all("referenced.executions.execution.dev" in reason for reason in must.refused)
    # These are found, repaired and reported, each once.
    past = len([one for one in may.outcomes if not one.stamped])
    eventually(lambda: prepared.listed("Job", "!execution.dev/id") == [], timeout=60)
    assert {one["metadata"]["labels"]["a"] for one in prepared.listed("Job")} == {"0", "all"}
    assert metric(operator, "controller", missed) - before == past
    events = f"/apis/events.k8s.io/v1/namespaces/{prepared.namespace}/events?fieldSelector=reason=AdmissionMissed"
    eventually(lambda: len(prepared.request("GET", events)["items"]) == past)
    eventually(lambda: f"{past} " in condition(prepared, "all", "AdmissionComplete"))


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
    said = len(operator.log("webhook"))
    try:
        prepared.request("PATCH", path, {"data": data}, "application/merge-patch+json")
    finally:
        operator.start("webhook")
    operator.wait_ready("webhook")
    with load(prepared, REFERENCED) as referenced:
        referenced.goes_on(stamped=True)
    assert referenced.refused == []
    assert f"Secret {SYSTEM_NAMESPACE}/{TLS_SECRET}: " in operator.log("webhook")[said:]
    expires = metric(operator, "webhook", "execution_options_certificate_expires_timestamp_seconds")
    assert expires > datetime.now(UTC).timestamp()
