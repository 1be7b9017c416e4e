"""If a mail server refuses the operator itself, the channel is to blame and not the recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.providers.refusal import Stage, refusal
from support.smtp import PlainServer

from .conftest import channel, material, parcel

if TYPE_CHECKING:
    from execution_options.providers.answer import Answer
    from execution_options.providers.factory import Providers

OURS = [
    ("BANNER", "554 5.7.1 No SMTP service for you", "Temporary", "ClientRefused"),
    ("BANNER", "421 4.3.2 Service not available", "Temporary", "Deferred"),
    ("EHLO", "550 5.7.1 <x>: Helo command rejected: You are not me", "Temporary", "ClientRefused"),
    ("MAIL", "530 5.7.0 Must issue a STARTTLS command first", "Permanent", "Unauthorized"),
    ("MAIL", "530 5.7.57 Client not authenticated to send mail", "Permanent", "Unauthorized"),
    ("MAIL", "553 5.7.1 <a@b.c>: Sender address rejected: not owned by user", "Permanent", "SenderRefused"),
    ("MAIL", "550 no such sender", "Permanent", "SenderRefused"),
    ("MAIL", "451 4.3.0 try again", "Temporary", "Deferred"),
    ("RCPT", "504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname", "Permanent", "ClientRefused"),
    ("RCPT", "501 5.5.2 <x>: Helo command rejected: Invalid name", "Permanent", "ClientRefused"),
    ("RCPT", "554 5.7.1 <a@b.c>: Relay access denied", "Permanent", "ClientRefused"),
    ("RCPT", "454 4.7.1 <a@b.c>: Relay access denied", "Temporary", "Deferred"),
    ("RCPT", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "Permanent", "ClientRefused"),
    ("RCPT", "530 5.7.1 Authentication required", "Permanent", "Unauthorized"),
    ("RCPT", "550 5.1.8 <a@b.c>: Sender address rejected: Domain not found", "Permanent", "SenderRefused"),
    ("RCPT", "450 4.1.8 <a@b.c>: Sender address rejected: Domain not found", "Temporary", "Deferred"),
    (".", "550 5.7.60 Client does not have permissions to send as this sender", "Permanent", "SenderRefused"),
    (".", "554 5.2.252 SendAsDenied; not allowed to send as", "Permanent", "SenderRefused"),
    (
        ".",
        "550-5.7.26 Unauthenticated email from b.c is not accepted\r\n550 5.7.26 DMARC",
        "Permanent",
        "SenderRefused",
    ),
]
RECIPIENTS = [
    ("RCPT", "550 5.1.1 no such user", "Permanent", "RecipientRefused"),
    ("RCPT", "550 no such user", "Permanent", "RecipientRefused"),
    ("RCPT", "550-5.1.1 Empf\xe4nger unbekannt\r\n550-\r\n550 5.1.1 \xfcberpr\xfcfen", "Permanent", "RecipientRefused"),
    ("RCPT", "501 5.1.3 Bad recipient address syntax", "Permanent", "RecipientRefused"),
    ("RCPT", "550 5.7.133 Sender not authenticated for group", "Permanent", "RecipientRefused"),
    ("RCPT", "552 5.2.2 mailbox full", "Permanent", "RecipientRefused"),
    ("RCPT", "450 4.2.0 greylisted", "Temporary", "Deferred"),
    (".", "554 5.7.1 looks like spam", "Permanent", "MessageRefused"),
    (".", "451 4.7.1 greylisted", "Temporary", "Deferred"),
]


async def _answer(providers: Providers, verb: str, says: str) -> Answer:
    with PlainServer("8BITMIME", says={verb: says, "HELO": says if verb == "EHLO" else "250 mail.test"}) as server:
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": "a@b.c", "tls": "None"})
        return (await providers.send(spec, material(), parcel("ops@example.com")))["ops@example.com"]


@pytest.mark.parametrize(("verb", "says", "result", "reason"), OURS)
async def test_refusals_of_the_operator_blame_the_channel(
    providers: Providers, verb: str, says: str, result: str, reason: str
) -> None:
    answer = await _answer(providers, verb, says)
    assert (answer.result, answer.reason, answer.blames_channel) == (result, reason, True)
    assert says.partition("\r\n")[0].partition(" ")[2][:20].strip() in answer.text


@pytest.mark.parametrize(("verb", "says", "result", "reason"), RECIPIENTS)
async def test_refusals_of_a_recipient_or_a_message_do_not(
    providers: Providers, verb: str, says: str, result: str, reason: str
) -> None:
    answer = await _answer(providers, verb, says)
    assert (answer.result, answer.reason, answer.blames_channel) == (result, reason, False)


STAGES: list[Stage] = ["connection", "login", "sender", "recipient", "data"]


@given(code=st.integers(400, 599), message=st.text() | st.from_regex(r"\A[45]\.\d{1,3}\.\d{1,3} "),
       stage=st.sampled_from(STAGES))  # fmt: skip
def test_every_refusal_has_a_result_and_a_reason(code: int, message: str, stage: Stage) -> None:
    answer = refusal(code, message, stage)
    assert answer.result == ("Permanent" if code >= 500 and stage != "connection" else "Temporary")
    assert answer.reason
    assert answer.blames_channel or stage in ("recipient", "data")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("8BITMIME",)])
async def test_a_server_that_needs_full_names_accepts_our_name(
    providers: Providers, extensions: tuple[str, ...]
) -> None:
    with PlainServer(*extensions, full_names=True) as server:
        spec: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "from": "a@b.c", "tls": "None"}
        for changes in ({}, {"heloName": "executions.example.com"}):
            answers = await providers.send(channel(email=spec | changes), material(), parcel("ops@example.com"))
            assert answers["ops@example.com"].result == "Accepted"
    assert server.names[1] == "executions.example.com"
    assert server.names[0] == "[127.0.0.1]" or "." in server.names[0]


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("node-1.example.com", "node-1.example.com"),
        ("execution-options-controller-5d9c", "[127.0.0.1]"),
        ("localhost.localdomain", "[127.0.0.1]"),
        ("not_a.name", "[127.0.0.1]"),
    ],
)
async def test_without_a_full_name_our_name_is_the_address(
    providers: Providers, monkeypatch: pytest.MonkeyPatch, machine: str, name: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: machine)
    with PlainServer() as server:
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": "a@b.c", "tls": "None"})
        await providers.send(spec, material(), parcel("ops@example.com"))
    assert server.names == [name]


async def test_an_ipv6_address_is_marked_as_one(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "pod")
    with PlainServer(host="::1") as server:
        spec = channel(email={"host": "::1", "port": server.port, "from": "a@b.c", "tls": "None"})
        await providers.send(spec, material(), parcel("ops@example.com"))
    assert server.names == ["[IPv6:::1]"]


async def test_a_server_that_knows_only_helo_accepts_mail(providers: Providers) -> None:
    with PlainServer(ehlo=False) as server:
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": "Ä <a@b.c>", "tls": "None"})
        answers = await providers.send(spec, material(), parcel("ops@example.com"))
    assert answers["ops@example.com"].result == "Accepted"
