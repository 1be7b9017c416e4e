"""Webhooks arrive signed, and every answer has a result."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from support.services import HANGS, RESETS, Says, WebhookReceiver

from .conftest import channel, material, parcel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.providers.answer import Answer
    from execution_options.providers.factory import Providers
    from execution_options.providers.material import Material
    from support.serving import Certificate

EVENT = {"specversion": "1.0", "id": "1", "source": "/team", "type": "dev.execution.failed"}
OLD, NEW = (f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}" for _ in range(2))
SIGNED = [{"name": "signing", "key": "new"}, {"name": "signing", "key": "old"}]
SIGNING = {"new": NEW, "old": OLD}


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as server:
        yield server


async def send(providers: Providers, spec: NotificationChannelSpec, given: Material | None = None) -> Answer:
    answers = await providers.send(spec, given or material(), parcel("", payload=EVENT))
    assert list(answers) == [""]
    return answers[""]


async def test_a_receiver_verifies_the_signature_with_either_secret(
    providers: Providers, receiver: WebhookReceiver
) -> None:
    spec = channel(webhook={"url": receiver.url + "/hook", "signingSecretRefs": SIGNED})

    answer = await send(providers, spec, material(signing=SIGNING))

    assert answer.result == "Accepted"
    (request,) = receiver.received
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["content-type"].startswith("application/cloudevents+json")
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(request.body, headers) == EVENT
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"another").decode()).verify(request.body, headers)


async def test_every_attempt_has_the_same_id(providers: Providers, receiver: WebhookReceiver) -> None:
    spec = channel(webhook={"url": receiver.url + "/hook"})
    for _ in range(2):
        await send(providers, spec)

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert "webhook-signature" not in first.headers


async def test_headers_come_from_a_secret(providers: Providers, receiver: WebhookReceiver) -> None:
    spec = channel(webhook={"url": receiver.url + "/hook", "headersSecretRef": {"name": "headers"}})

    await send(providers, spec, material(headers={"Authorization": "Bearer canary"}))

    assert receiver.received[0].headers["authorization"] == "Bearer canary"


@pytest.mark.parametrize(
    "headers", [{"webhook-id": "mine"}, {"Host": "a"}, {"a b": "c"}, {"a": "b\r\nc: d"}, {"a": "é"}]
)
async def test_headers_that_would_replace_ours_are_refused(
    providers: Providers, receiver: WebhookReceiver, headers: dict[str, str]
) -> None:
    spec = channel(webhook={"url": receiver.url + "/hook", "headersSecretRef": {"name": "headers"}})

    answer = await send(providers, spec, material(headers=headers))

    assert (answer.result, answer.reason) == ("Temporary", "SecretInvalid")
    assert receiver.received == []


@pytest.mark.parametrize(
    ("says", "result", "reason", "retry_after"),
    [
        (Says(200), "Accepted", "Accepted", None),
        (Says(202, "thanks"), "Accepted", "Accepted", None),
        (Says(301, "", {"location": "/other"}), "Permanent", "Redirected", None),
        (Says(400, "no such field"), "Permanent", "Refused", None),
        (Says(401), "Permanent", "Unauthorized", None),
        (Says(404), "Permanent", "Refused", None),
        (Says(410), "Permanent", "Gone", None),
        (Says(429, "", {"retry-after": "7"}), "Temporary", "RateLimited", 7.0),
        (Says(429), "Temporary", "RateLimited", None),
        (Says(429, "", {"retry-after": "soon"}), "Temporary", "RateLimited", None),
        (Says(429, "", {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}), "Temporary", "RateLimited", 0.0),
        (Says(429, "", {"retry-after": "99999999"}), "Temporary", "RateLimited", 3600.0),
        (Says(500), "Temporary", "ServerError", None),
        (Says(503, "", {"retry-after": "2"}), "Temporary", "ServerError", 2.0),
        (RESETS, "Ambiguous", "ConnectionLost", None),
    ],
)
async def test_each_answer_has_a_result_and_a_reason(
    providers: Providers,
    receiver: WebhookReceiver,
    says: Says,
    result: str,
    reason: str,
    retry_after: float | None,
) -> None:
    receiver.answers.append(says)

    answer = await send(providers, channel(webhook={"url": receiver.url + "/hook"}))

    assert (answer.result, answer.reason, answer.retry_after) == (result, reason, retry_after)
    assert len(receiver.received) == 1


async def test_a_receiver_that_hangs_is_ambiguous(impatient: Providers, receiver: WebhookReceiver) -> None:
    receiver.answers.append(HANGS)
    answer = await send(impatient, channel(webhook={"url": receiver.url + "/hook"}))
    assert (answer.result, answer.reason, answer.blames_channel) == ("Ambiguous", "NoAnswer", True)


async def test_a_long_answer_is_not_read_to_the_end(providers: Providers, receiver: WebhookReceiver) -> None:
    receiver.answers.append(Says(400, "no\n\x1b[31m" + "x" * 1_000_000))
    answer = await send(providers, channel(webhook={"url": receiver.url + "/hook"}))
    assert len(answer.text) == 512
    assert answer.text.startswith("HTTP 400: no [31mxxx")


async def test_a_closed_port_is_unreachable(providers: Providers) -> None:
    with WebhookReceiver() as gone:
        url = gone.url
    answer = await send(providers, channel(webhook={"url": url + "/hook"}))
    assert (answer.result, answer.reason, answer.blames_channel) == ("Temporary", "Unreachable", True)


async def test_an_unknown_host_is_unreachable(providers: Providers) -> None:
    answer = await send(providers, channel(webhook={"url": "https://nowhere.invalid/hook"}))
    assert (answer.result, answer.reason) == ("Temporary", "Unreachable")


async def test_a_certificate_of_an_unknown_authority_is_refused(providers: Providers, certificate: Certificate) -> None:
    with WebhookReceiver(certificate.context) as server:
        answer = await send(providers, channel(webhook={"url": server.url + "/hook"}))
        assert (answer.result, answer.reason) == ("Temporary", "TLSFailed")
        assert server.received == []

        trusted = channel(
            webhook={"url": server.url + "/hook", "ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}}
        )
        answer = await send(providers, trusted, material(ca={"ca.crt": certificate.ca}))
        assert answer.result == "Accepted"


async def test_an_invalid_authority_is_reported(providers: Providers, receiver: WebhookReceiver) -> None:
    spec = channel(webhook={"url": receiver.url, "ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}})
    answer = await send(providers, spec, material(ca={"ca.crt": "no certificate"}))
    assert (answer.result, answer.reason) == ("Permanent", "InvalidAuthority")


async def test_a_secret_url_never_shows(impatient: Providers, receiver: WebhookReceiver) -> None:
    url = f"{receiver.url}/hooks/T0KEN-canary?key=canary2"
    spec = channel(webhook={"urlSecretRef": {"name": "hook", "key": "url"}})
    for says in (Says(400, f"no such hook: {url}"), Says(404, "unknown path /hooks/T0KEN-canary"), RESETS, HANGS):
        receiver.answers.append(says)
        answer = await send(impatient, spec, material(hook={"url": url}))
        assert "canary" not in answer.text
    answer = await send(impatient, spec, material(hook={"url": "canary is no URL"}))
    assert (answer.result, answer.reason) == ("Permanent", "InvalidURL")
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("secret", "reason"),
    [({}, "SecretKeyMissing"), ({"new": "", "old": OLD}, "SecretInvalid"), ({"new": "x", "old": OLD}, "SecretInvalid")],
)
async def test_an_unusable_secret_is_retried(
    providers: Providers, receiver: WebhookReceiver, secret: dict[str, str], reason: str
) -> None:
    spec = channel(webhook={"url": receiver.url + "/hook", "signingSecretRefs": SIGNED})
    answer = await send(providers, spec, material(signing=secret))
    assert (answer.result, answer.reason, answer.blames_channel) == ("Temporary", reason, True)
