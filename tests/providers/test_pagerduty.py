"""PagerDuty opens and resolves incidents under one key, and its refusals are interpreted correctly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.services import HANGS, PagerDuty, Says

from .conftest import channel, material, parcel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.providers.factory import Providers

KEY, OTHER = "canary-routing-key-000000000000000", "canary-routing-key-111111111111111"
SECRETS = material(pagerduty={"default": KEY, "database": OTHER})


@pytest.fixture
def pagerduty() -> Iterator[PagerDuty]:
    with PagerDuty(KEY, OTHER) as server:
        yield server


def services(server: PagerDuty, *, default: bool = True) -> NotificationChannelSpec:
    named = [{"name": "database@example.com", "routingKeySecretRef": {"name": "pagerduty", "key": "database"}}]
    whole = {"routingKeySecretRef": {"name": "pagerduty", "key": "default"}} if default else {}
    return channel(pagerDuty={"services": named, "apiURL": server.enqueue, **whole})


def event(action: str = "trigger", **changes: Any) -> dict[str, Any]:
    payload = {"summary": "train failed", "source": "team/train-1", "severity": "error"}
    return {"event_action": action, "dedup_key": "job/team/train", "payload": payload} | changes


async def test_an_incident_is_opened_and_resolved_under_one_key(providers: Providers, pagerduty: PagerDuty) -> None:
    for action, expected in (("trigger", "triggered"), ("resolve", "resolved")):
        answers = await providers.send(services(pagerduty), SECRETS, parcel("on-call", payload=event(action)))
        assert answers["on-call"].result == "Accepted"
        assert pagerduty.incidents == {(KEY, "job/team/train"): expected}


async def test_a_resolving_event_is_sent_once_the_opening_one_is_accepted(
    providers: Providers, pagerduty: PagerDuty
) -> None:
    given = parcel("on-call", payload=event(), resolve=event("resolve"))
    pagerduty.answers += [Says(202), Says(500, "down")]
    answers = await providers.send(services(pagerduty), SECRETS, given)
    assert answers["on-call"].result == "Temporary"
    answers = await providers.send(services(pagerduty), SECRETS, given)
    assert answers["on-call"].result == "Accepted"
    assert pagerduty.incidents == {(KEY, "job/team/train"): "resolved"}
    pagerduty.answers.append(Says(400, "no"))
    answers = await providers.send(services(pagerduty), SECRETS, given)
    assert answers["on-call"].result == "Permanent"
    actions = [request.json["event_action"] for request in pagerduty.received]
    assert actions == ["trigger", "resolve", "trigger", "resolve", "trigger"]


async def test_recipients_are_services_by_name_and_each_service_gets_one_event(
    providers: Providers, pagerduty: PagerDuty
) -> None:
    given = parcel("database@example.com", "a@example.com", "b@example.com", payload=event())
    answers = await providers.send(services(pagerduty), SECRETS, given)

    assert {answer.result for answer in answers.values()} == {"Accepted"}
    assert [request.json["routing_key"] for request in pagerduty.received] == [OTHER, KEY]


async def test_a_service_that_is_not_in_the_channel_fails(providers: Providers, pagerduty: PagerDuty) -> None:
    given = parcel("a@example.com", "database@example.com", payload=event())
    answers = await providers.send(services(pagerduty, default=False), SECRETS, given)
    assert [(a.result, a.reason) for a in answers.values()] == [
        ("Permanent", "UnknownService"),
        ("Accepted", "Accepted"),
    ]


@pytest.mark.parametrize(
    ("says", "result", "reason", "retry_after"),
    [
        (Says(400, f'{{"errors": ["routing_key {KEY} is not known"]}}'), "Permanent", "Refused", None),
        (Says(429, "", {"retry-after": "5"}), "Temporary", "RateLimited", 5.0),
        (Says(503), "Temporary", "ServerError", None),
    ],
)
async def test_each_answer_has_a_result_and_a_reason(
    providers: Providers, pagerduty: PagerDuty, says: Says, result: str, reason: str, retry_after: float | None
) -> None:
    pagerduty.answers.append(says)
    answers = await providers.send(services(pagerduty), SECRETS, parcel("on-call", payload=event()))
    answer = answers["on-call"]
    assert (answer.result, answer.reason, answer.retry_after) == (result, reason, retry_after)
    assert "canary" not in answer.text


async def test_a_service_that_hangs_is_ambiguous(impatient: Providers, pagerduty: PagerDuty) -> None:
    pagerduty.answers.append(HANGS)
    answers = await impatient.send(services(pagerduty), SECRETS, parcel("on-call", payload=event()))
    assert answers["on-call"].result == "Ambiguous"
