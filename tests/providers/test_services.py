"""Services that a page describes get each message, and every answer of theirs has a result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import structs

from execution_options.notifications.page import builtin
from execution_options.notifications.render import render
from execution_options.providers.material import MaterialError
from execution_options.providers.parcel import Parcel
from execution_options.providers.usable import check
from support.chats import Chat, Discord, GoogleChat, Mattermost, Opsgenie, RocketChat, Teams
from support.notices import FAILED, TEMPLATES, due, ends
from support.services import HANGS, RESETS, Says, Service

from .conftest import channel, material

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.channel import ChannelType, NotificationChannelSpec
    from execution_options.api.notification import Template
    from execution_options.notifications.ended import Ended
    from execution_options.providers.answer import Answer
    from execution_options.providers.factory import Providers

CHATS: dict[str, type[Chat]] = {
    "teams": Teams,
    "googleChat": GoogleChat,
    "discord": Discord,
    "mattermost": Mattermost,
    "rocketChat": RocketChat,
}
REF = {"name": "hook", "key": "url"}
KEY = "genie-canary-key"
PAGE = {
    "urlSecretRef": REF,
    "method": "PUT",
    "headers": {"X-Team": "ml"},
    "headersSecretRef": {"name": "headers"},
    "idempotencyHeader": "Idempotency-Key",
    "body": '{"title": "{{ subject }}", "more": [{"$each": "facts", "{{ not }} a template": "{{ fact.value }}"}]}',
    "success": {"statuses": [200], "path": ".result[0].ok", "value": "true"},
}


def parcel(spec: NotificationChannelSpec, ended: Ended = FAILED, **changes: Any) -> Parcel:
    message = render(ended, due(spec.type, **changes), "team/train-1-0123", http=spec.http or None)
    return Parcel(key="team/train-1-0123", message=message, recipients=("",))


async def sent(
    providers: Providers, spec: NotificationChannelSpec, url: str, ended: Ended = FAILED, **changes: Any
) -> Answer:
    held = material(hook={"url": url}, headers={"Authorization": "Bearer canary"}, opsgenie={"key": KEY})
    return (await providers.send(spec, held, parcel(spec, ended, **changes)))[""]


@pytest.fixture(params=CHATS)
def chat(request: pytest.FixtureRequest) -> Iterator[tuple[NotificationChannelSpec, Chat]]:
    with CHATS[request.param]() as server:
        yield channel(**{request.param: {"urlSecretRef": REF}}), server


@pytest.fixture
def opsgenie() -> Iterator[Opsgenie]:
    with Opsgenie(KEY) as server:
        yield server


def alerting(server: Opsgenie) -> NotificationChannelSpec:
    return channel(opsgenie={"apiKeySecretRef": {"name": "opsgenie", "key": "key"}, "apiURL": server.api})


async def test_a_chat_gets_the_message(providers: Providers, chat: tuple[NotificationChannelSpec, Chat]) -> None:
    spec, server = chat
    answer = await sent(providers, spec, server.hook)
    assert answer.result == "Accepted", answer.text
    (message,) = server.posted
    shown = json.dumps(message)
    for text in ("train-resnet-x7k2p failed", "ml-training", "2h 17m 02s", "exit code 137"):
        assert text in shown


async def test_a_rate_limit_is_waited_for(providers: Providers, chat: tuple[NotificationChannelSpec, Chat]) -> None:
    spec, server = chat
    server.answers.append(server.limited)
    answer = await sent(providers, spec, server.hook)
    waits = None if spec.type in ("googleChat", "rocketChat") else 7.0
    assert (answer.result, answer.reason, answer.retry_after) == ("Temporary", "RateLimited", waits)


async def test_an_unknown_webhook_is_refused_for_good_without_its_url(
    providers: Providers, chat: tuple[NotificationChannelSpec, Chat]
) -> None:
    spec, server = chat
    answer = await sent(providers, spec, f"{server.url}/hooks/canary-of-nobody")
    assert (answer.result, answer.reason) == ("Permanent", "Refused")
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("says", "result", "reason"),
    [
        (Says(401), "Permanent", "Unauthorized"),
        (Says(410), "Permanent", "Gone"),
        (Says(500), "Temporary", "ServerError"),
        (Says(302, "", {"location": "/"}), "Permanent", "Redirected"),
        (RESETS, "Ambiguous", "ConnectionLost"),
        (HANGS, "Ambiguous", "NoAnswer"),
    ],
)
async def test_each_answer_of_a_chat_has_a_result(
    impatient: Providers, chat: tuple[NotificationChannelSpec, Chat], says: Says, result: str, reason: str
) -> None:
    spec, server = chat
    server.answers.append(says)
    answer = await sent(impatient, spec, server.hook)
    assert (answer.result, answer.reason) == (result, reason)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("mattermost", "<html>Sign in</html>"),
        ("rocketChat", '{"success": false, "error": "unknown-error"}'),
        ("rocketChat", "ok"),
        ("rocketChat", '{"success": "yes"}'),
    ],
)
async def test_a_success_has_the_words_of_the_service(providers: Providers, name: str, body: str) -> None:
    with CHATS[name]() as server:
        server.always = Says(200, body)
        answer = await sent(providers, channel(**{name: {"urlSecretRef": REF}}), server.hook)
    assert (answer.result, answer.reason, answer.blames_channel) == ("Permanent", "UnexpectedAnswer", True)


@given(ends(), TEMPLATES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_service_takes_the_message_of_any_end(ended: Ended, template: Template | None) -> None:
    for name, kind in CHATS.items():
        spec = channel(**{name: {"urlSecretRef": REF}})
        body = json.loads(parcel(spec, ended, template=template).message.payload)["body"]
        refused = kind.problem(kind.__new__(kind), body)
        assert refused is None, (name, refused)
        assert len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()) <= builtin()[name].max_bytes


async def test_an_alert_is_opened_once_for_a_lineage_and_closed_by_a_later_success(
    providers: Providers, opsgenie: Opsgenie
) -> None:
    spec = alerting(opsgenie)
    for _ in range(2):
        assert (await sent(providers, spec, "")).result == "Accepted"
    assert opsgenie.alerts == {FAILED.lineage: "open"}
    assert opsgenie.posted[0]["priority"] == "P2"
    later = structs.replace(FAILED, phase="SUCCEEDED", uid="u-2", name="train-resnet-aaaaa")
    answer = await sent(providers, spec, "", later, resolves=True)
    assert answer.result == "Accepted", answer.text
    assert opsgenie.alerts == {FAILED.lineage: "closed"}


async def test_a_test_of_opsgenie_leaves_nothing_open(providers: Providers, opsgenie: Opsgenie) -> None:
    tested = structs.replace(FAILED, tested="channel/on-call", headline="channel/on-call", phase="SUCCEEDED")
    answer = await sent(providers, alerting(opsgenie), "", tested)
    assert answer.result == "Accepted", answer.text
    assert [request.method for request in opsgenie.received] == ["POST", "POST"]
    assert opsgenie.posted[0]["priority"] == "P5"
    assert list(opsgenie.alerts.values()) == ["closed"]


@pytest.mark.parametrize(
    ("says", "result", "reason"),
    [
        (Opsgenie.limited, "Temporary", "RateLimited"),
        (Says(401, '{"message": "Could not authenticate"}'), "Permanent", "Unauthorized"),
        (Says(403, '{"message": "To perform this action, use an API key from an API integration."}'),
         "Permanent", "Unauthorized"),
        (Says(422, '{"message": "Request body is not processable."}'), "Permanent", "Refused"),
        (Says(200), "Permanent", "Refused"),
        (Says(503), "Temporary", "ServerError"),
    ],
)  # fmt: skip
async def test_each_answer_of_opsgenie_has_a_result(
    providers: Providers, opsgenie: Opsgenie, says: Says, result: str, reason: str
) -> None:
    opsgenie.answers.append(says)
    answer = await sent(providers, alerting(opsgenie), "")
    assert (answer.result, answer.reason) == (result, reason)
    assert KEY not in answer.text


async def test_any_service_is_described_by_a_page(providers: Providers) -> None:
    with Service() as server:
        server.always = Says(200, '{"result": [{"ok": true}]}')
        spec = channel(http=PAGE)
        for _ in range(2):
            assert (await sent(providers, spec, f"{server.url}/in")).result == "Accepted"
    first, second = server.received
    assert (first.method, first.path, first.headers["x-team"]) == ("PUT", "/in", "ml")
    assert first.headers["authorization"] == "Bearer canary"
    assert first.headers["content-type"].startswith("application/json")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.json["title"] == "train-resnet-x7k2p failed"
    assert first.json["more"][0] == {"{{ not }} a template": "train-resnet-x7k2p"}


@pytest.mark.parametrize(
    ("says", "result", "reason"),
    [
        (Says(200, '{"result": [{"ok": false}]}'), "Permanent", "UnexpectedAnswer"),
        (Says(200, '{"result": []}'), "Permanent", "UnexpectedAnswer"),
        (Says(200, '{"result": {"ok": true}}'), "Permanent", "UnexpectedAnswer"),
        (Says(200, "no JSON"), "Permanent", "UnexpectedAnswer"),
        (Says(200, "[" * 9000), "Permanent", "UnexpectedAnswer"),
        (Says(202, '{"result": [{"ok": true}]}'), "Permanent", "Refused"),
        (Says(429, "", {"retry-after": "3"}), "Temporary", "RateLimited"),
    ],
)
async def test_a_page_says_what_a_success_is(providers: Providers, says: Says, result: str, reason: str) -> None:
    with Service() as server:
        server.always = says
        answer = await sent(providers, channel(http=PAGE), server.url)
    assert (answer.result, answer.reason) == (result, reason)


def test_headers_of_a_page_are_checked_before_anything_is_sent() -> None:
    with pytest.raises(MaterialError, match="content-length, which the operator sets"):
        check(channel(http=PAGE), material(hook={"url": "https://a.b"}, headers={"Content-Length": "1"}))


async def test_a_body_that_stays_too_large_is_said_and_not_sent(providers: Providers) -> None:
    with Service() as server:
        items = ", ".join(['{"$each": "facts", "v": "' + "x" * 1900 + '"}'] * 8)
        answer = await sent(providers, channel(http=PAGE | {"body": f'{{"a": [{items}]}}'}), server.url)
    assert (answer.result, answer.reason, answer.text) == (
        "Permanent",
        "BodyTooLarge",
        "the body is larger than 32768 bytes",
    )
    assert server.received == []


def test_every_service_has_a_server_here() -> None:
    kinds: set[ChannelType] = {"opsgenie"}
    assert set(builtin()) == set(CHATS) | kinds
