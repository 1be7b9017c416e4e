"""Mail reaches a server over TLS, with credentials, one message for each recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.notifications.naming import message_id
from support.mail import MailServer

from .conftest import channel, material, parcel

if TYPE_CHECKING:
    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.providers.answer import Answer
    from execution_options.providers.factory import Providers
    from execution_options.providers.material import Material
    from support.serving import Certificate

FROM = "Execution Options <noreply@example.com>"
PASSWORD = "canary-password"
AUTH = {
    "usernameSecretRef": {"name": "smtp", "key": "username"},
    "passwordSecretRef": {"name": "smtp", "key": "password"},
}


def mail(server: MailServer, tls: str = "None", **changes: Any) -> NotificationChannelSpec:
    host = "127.0.0.1" if tls == "None" else "localhost"
    trusted = {} if tls == "None" else {"ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}}
    return channel(email={"host": host, "port": server.port, "from": FROM, "tls": tls} | trusted | changes)


def secrets(certificate: Certificate, password: str = PASSWORD) -> Material:
    return material(smtp={"username": "operator", "password": password}, ca={"ca.crt": certificate.ca})


def results(answers: dict[str, Answer]) -> list[tuple[str, str]]:
    return [(answer.result, answer.reason) for answer in answers.values()]


@pytest.mark.parametrize("tls", ["StartTLS", "Implicit"])
async def test_it_arrives_encrypted_and_authenticated(providers: Providers, certificate: Certificate, tls: str) -> None:
    accounts = {"operator": PASSWORD}
    with MailServer(certificate.context, implicit=tls == "Implicit", accounts=accounts) as server:
        spec = mail(server, tls, auth=AUTH, replyTo="team@example.com")
        answers = await providers.send(spec, secrets(certificate), parcel("a@example.com", "b@example.com"))

    assert results(answers) == [("Accepted", "Accepted")] * 2
    first, second = server.mails
    assert server.connections == 1
    assert (first.recipients, second.recipients) == (["a@example.com"], ["b@example.com"])
    assert (first.user, first.encrypted, first.sender) == ("operator", True, "noreply@example.com")
    assert first.message["From"] == FROM
    assert first.message["To"] == "a@example.com"
    assert first.message["Reply-To"] == "team@example.com"
    assert first.message["Subject"] == "train failed"
    assert first.message["Auto-Submitted"] == "auto-generated"
    assert first.message["Message-ID"] == message_id("team/train-1-0123", "a@example.com", "noreply@example.com")
    assert first.part("plain") == "train failed\n"
    assert first.part("html") == "<p>train failed</p>\n"


async def test_every_attempt_has_the_same_message_id(providers: Providers) -> None:
    with MailServer() as server:
        for _ in range(2):
            await providers.send(mail(server), material(), parcel("a@example.com"))
    assert server.mails[0].message["Message-ID"] == server.mails[1].message["Message-ID"]


async def test_nothing_is_sent_unencrypted_if_the_server_has_no_tls(
    providers: Providers, certificate: Certificate
) -> None:
    with MailServer() as server:
        spec = mail(server, "StartTLS", auth=AUTH)
        answers = await providers.send(spec, secrets(certificate), parcel("a@example.com"))
    assert results(answers) == [("Permanent", "NotSupported")]
    assert server.mails == []


async def test_credentials_are_never_sent_unencrypted(providers: Providers, certificate: Certificate) -> None:
    with MailServer() as server:
        answers = await providers.send(mail(server, auth=AUTH), secrets(certificate), parcel("a@example.com"))
    assert results(answers) == [("Permanent", "TLSRequired")]
    assert server.connections == 0


@pytest.mark.parametrize("tls", ["StartTLS", "Implicit"])
async def test_a_certificate_of_an_unknown_authority_is_refused(
    providers: Providers, certificate: Certificate, tls: str
) -> None:
    with MailServer(certificate.context, implicit=tls == "Implicit") as server:
        spec = channel(email={"host": "localhost", "port": server.port, "from": FROM, "tls": tls})
        answers = await providers.send(spec, material(), parcel("a@example.com"))
    assert results(answers) == [("Temporary", "TLSFailed")]
    assert server.mails == []


async def test_a_wrong_password_is_reported_without_it(providers: Providers, certificate: Certificate) -> None:
    with MailServer(certificate.context, accounts={"operator": "another"}) as server:
        spec = mail(server, "StartTLS", auth=AUTH)
        answers = await providers.send(spec, secrets(certificate), parcel("a@example.com"))
    assert results(answers) == [("Permanent", "Unauthorized")]
    assert answers["a@example.com"].blames_channel
    assert "canary" not in answers["a@example.com"].text


async def test_a_refused_recipient_does_not_affect_the_others(providers: Providers) -> None:
    with MailServer() as server:
        server.refusals = {
            "gone@example.com": "550 5.1.1 no such user",
            "full@example.com": "452 4.2.2 mailbox full",
        }
        given = parcel("gone@example.com", "a@example.com", "full@example.com", "b@example.com")
        answers = await providers.send(mail(server), material(), given)

    assert results(answers) == [
        ("Permanent", "RecipientRefused"),
        ("Accepted", "Accepted"),
        ("Temporary", "Deferred"),
        ("Accepted", "Accepted"),
    ]
    assert answers["gone@example.com"].text == "550 5.1.1 no such user"
    assert not answers["gone@example.com"].blames_channel
    assert [one.recipients for one in server.mails] == [["a@example.com"], ["b@example.com"]]


@pytest.mark.parametrize(
    ("says", "result", "reason"),
    [
        ("554 5.7.1 looks like spam", "Permanent", "MessageRefused"),
        ("451 4.3.0 try again later", "Temporary", "Deferred"),
        ("reset", "Ambiguous", "NoAnswer"),
    ],
)
async def test_each_answer_to_the_message_has_a_result_and_a_reason(
    providers: Providers, says: str, result: str, reason: str
) -> None:
    with MailServer() as server:
        server.at_data = says
        answers = await providers.send(mail(server), material(), parcel("a@example.com"))
    assert results(answers) == [(result, reason)]


async def test_after_a_lost_connection_only_the_mail_under_way_is_ambiguous(providers: Providers) -> None:
    with MailServer() as server:
        server.at_data = "reset"
        answers = await providers.send(mail(server), material(), parcel("a@example.com", "b@example.com"))
    assert results(answers) == [("Ambiguous", "NoAnswer"), ("Temporary", "ConnectionLost")]


async def test_a_mail_to_a_server_that_hangs_is_ambiguous(impatient: Providers) -> None:
    with MailServer() as server:
        server.at_data = "hang"
        answers = await impatient.send(mail(server), material(), parcel("a@example.com"))
    assert results(answers) == [("Ambiguous", "NoAnswer")]


@pytest.mark.parametrize("how", ["hang", "reset"])
async def test_a_server_that_never_greets_has_no_mail(impatient: Providers, how: str) -> None:
    with MailServer() as server:
        server.on_connect = how
        answers = await impatient.send(mail(server), material(), parcel("a@example.com"))
    assert results(answers) == [("Temporary", "Unreachable")]


async def test_a_closed_port_is_unreachable(providers: Providers) -> None:
    with MailServer() as server:
        spec = mail(server)
    answers = await providers.send(spec, material(), parcel("a@example.com"))
    assert results(answers) == [("Temporary", "Unreachable")]


async def test_addresses_and_subjects_in_other_scripts_arrive(providers: Providers) -> None:
    with MailServer() as server:
        given = parcel("用户@例子.example", html="<p>训练失败 🚨</p>")
        answers = await providers.send(mail(server), material(), given)
    assert results(answers) == [("Accepted", "Accepted")]
    assert server.mails[0].recipients == ["用户@例子.example"]
    assert server.mails[0].part("html") == "<p>训练失败 🚨</p>\n"


async def test_a_server_without_smtputf8_refuses_such_addresses(providers: Providers) -> None:
    with MailServer(smtputf8=False) as server:
        answers = await providers.send(mail(server), material(), parcel("用户@例子.example", "a@example.com"))
    assert results(answers) == [("Permanent", "AddressNotSupported"), ("Accepted", "Accepted")]


@pytest.mark.parametrize("who", ['a"b@c.d', "a@b@c.d", "a\\@c.d", "a(b)@c.d", "a@[1.2.3.4]", "a..b@c.d", "@c.d", "a@"])
async def test_an_odd_address_gets_an_answer(providers: Providers, who: str) -> None:
    with MailServer() as server:
        answers = await providers.send(mail(server), material(), parcel(who, "a@example.com"))
    assert answers[who].result in ("Accepted", "Permanent")
    assert answers["a@example.com"].result == "Accepted"
