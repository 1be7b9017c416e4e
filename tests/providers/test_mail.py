"""A mail is addressed and encoded so that every server accepts it."""

from __future__ import annotations

import re
from email.errors import MessageError
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from execution_options.api.channel_rules import MAILBOX
from execution_options.api.syntax import EMAIL_ADDRESS
from execution_options.notifications.message import Message
from execution_options.providers.mail import Mail, mailbox
from support.smtp import Letter, PlainServer

from .conftest import channel, material, parcel

if TYPE_CHECKING:
    from execution_options.api.transports import EmailChannel
    from execution_options.providers.factory import Providers

FROM = "Executions <executions@example.com>"


def email_channel(**changes: Any) -> EmailChannel:
    spec = channel(email={"host": "smtp.example.com", "from": FROM} | changes).email
    assert spec is not UNSET
    return spec


RECIPIENTS = st.one_of(
    st.from_regex(EMAIL_ADDRESS, fullmatch=True),
    st.from_regex(r"[^\x00-\x20\x7f]+@[^\x00-\x20\x7f]+", fullmatch=True),
).filter(lambda who: who.isprintable() or who.isascii())


@example(who="0@[")
@given(who=RECIPIENTS)
def test_a_mail_has_exactly_one_recipient_or_is_refused(who: str) -> None:
    try:
        mail = Mail(email_channel(), parcel(who).message, "team/train", who)
    except (ValueError, MessageError):
        return
    head = mail.content.partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\nTo: ") == 1
    assert not re.search(rb"(?i)\r\n(bcc|cc|x-[a-z]+):", head)


NAMES = st.text(st.characters(exclude_characters='<>@,;:"', exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60)
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300)


@settings(max_examples=40)
@given(name=NAMES, subject=TEXTS, text=TEXTS, html=TEXTS)
def test_any_text_is_sent_as_ascii_with_short_lines_and_reads_the_same(
    name: str, subject: str, text: str, html: str
) -> None:
    subject = " ".join(subject.split())[:200]
    sender = f"{name}<executions@bücher.example>"
    assert MAILBOX.broken(sender) is None
    message = Message(type="email", subject=subject, text=text, html=html)
    mail = Mail(email_channel(**{"from": sender, "replyTo": sender}), message, "team/train", "ops@bücher.example")

    assert mail.content.isascii()
    assert mail.international == []
    assert max(len(line) for line in mail.content.split(b"\r\n")) <= 998
    read = Letter("", "", mail.content).message
    for header in ("From", "Reply-To"):
        (address,) = read[header].addresses
        assert address.addr_spec == "executions@xn--bcher-kva.example"
        # Unlike mail programs, Python's parser leaves a space where a long name continues on the next line.
        assert "".join(address.display_name.split()) == "".join(name.split())
    assert read["To"] == "ops@xn--bcher-kva.example"
    assert " ".join(read["Subject"].split()) == subject
    plain = read.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().rstrip("\r\n") == text


@pytest.mark.parametrize(
    ("given_", "address"),
    [
        ("ops@bücher.example", "ops@xn--bcher-kva.example"),
        ("ops@BÜCHER.example", "ops@xn--bcher-kva.example"),
        ("ops@xn--bcher-kva.example", "ops@xn--bcher-kva.example"),
        ("ops+ml@example.com", "ops+ml@example.com"),
        ("Büro <buero@bücher.example>", "buero@xn--bcher-kva.example"),
        ("用户@例子.example", "用户@例子.example"),
    ],
)
def test_a_domain_is_written_in_punycode(given_: str, address: str) -> None:
    assert mailbox(given_).addr_spec == address


def test_an_invalid_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        mailbox(f"ops@{'ü' * 70}.example")


@pytest.mark.parametrize("extensions", [(), ("8BITMIME",), ("8BITMIME", "SMTPUTF8")], ids=lambda one: "-".join(one))
@pytest.mark.parametrize("sender", ["executions@example.com", "Ausführungen <a@bücher.example>", "実行 <a@b.example>"])
async def test_every_server_accepts_any_script(providers: Providers, extensions: tuple[str, ...], sender: str) -> None:
    text = "Läuft nicht mehr: 訓練 🚨"
    message = Message(type="email", subject=text, text=text, html=f"<p>{text}</p>")
    with PlainServer("PIPELINING", *extensions) as server:
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": sender, "tls": "None"}
                       | {"replyTo": "Büro <buero@bücher.example>"})  # fmt: skip
        sent = parcel("ops@bücher.example", "team@example.com")
        answers = await providers.send(spec, material(), type(sent)(**_fields(sent) | {"message": message}))
    assert [answer.result for answer in answers.values()] == ["Accepted"] * 2
    assert [letter.rcpt for letter in server.letters] == [
        "RCPT TO:<ops@xn--bcher-kva.example>",
        "RCPT TO:<team@example.com>",
    ]
    read = server.letters[0].message
    assert read["Subject"] == text
    assert read["Reply-To"].addresses[0].display_name == "Büro"
    assert read["From"].addresses[0].display_name == sender.rpartition(" <")[0]
    for kind in ("plain", "html"):
        body = read.get_body((kind,))
        assert body is not None
        assert text in body.get_content()


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


async def test_a_name_that_needs_smtputf8_is_sent_to_a_server_that_has_it(providers: Providers) -> None:
    with PlainServer("8BITMIME", "SMTPUTF8") as server:
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": FROM, "tls": "None"})
        answers = await providers.send(spec, material(), parcel("用户@例子.example", "a@example.com"))
    assert [answer.result for answer in answers.values()] == ["Accepted"] * 2
    assert ["SMTPUTF8" in letter.mail for letter in server.letters] == [True, False]
    assert server.letters[0].rcpt == "RCPT TO:<用户@例子.example>"


@pytest.mark.parametrize(
    ("changes", "who", "blames"),
    [
        ({}, "用户@例子.example", False),
        ({"from": "用户@example.com"}, "a@example.com", True),
        ({"replyTo": "用户@example.com"}, "a@example.com", True),
    ],
)
async def test_without_smtputf8_the_answer_names_the_address_and_blames_the_right_side(
    providers: Providers, changes: dict[str, str], who: str, blames: bool
) -> None:
    with PlainServer("8BITMIME") as server:
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": FROM, "tls": "None"} | changes)
        answer = (await providers.send(spec, material(), parcel(who)))[who]
    assert (answer.result, answer.reason, answer.blames_channel) == ("Permanent", "AddressNotSupported", blames)
    assert "用户@" in answer.text


async def test_a_sender_with_an_invalid_domain_is_the_channels_fault(providers: Providers) -> None:
    with PlainServer() as server:
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": f"a@{'ü' * 70}.example", "tls": "None"})
        answer = (await providers.send(spec, material(), parcel("a@example.com")))["a@example.com"]
    assert (answer.result, answer.reason, answer.blames_channel) == ("Permanent", "SenderRefused", True)
    assert answer.text == "the address in from cannot be used in a mail"
    assert server.commands == []
