"""Mail by SMTP: one connection for a delivery, and a message of its own for each recipient."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Final

import aiosmtplib
from aiosmtplib import errors
from msgspec import UNSET

from execution_options.notifications.naming import message_id
from execution_options.providers.answer import Answer, accepted, ambiguous, permanent, temporary
from execution_options.providers.http import UnansweredError, tls, unanswered

if TYPE_CHECKING:
    from execution_options.api.transports import EmailChannel
    from execution_options.notifications.message import Message
    from execution_options.providers.material import Material
    from execution_options.providers.outbound import Outbound
    from execution_options.providers.parcel import Parcel

PORTS: Final = {"StartTLS": 587, "Implicit": 465, "None": 25}
HELO: Final = "execution-options"


async def send(
    outbound: Outbound, seconds: float, channel: EmailChannel, material: Material, parcel: Parcel
) -> dict[str, Answer]:
    """Send a mail to each recipient; see ``providers.factory``."""
    answers: dict[str, Answer] = {}
    try:
        async with asyncio.timeout(seconds):
            smtp = await _connected(outbound, seconds, channel, material)
    except UnansweredError as error:
        return dict.fromkeys(parcel.recipients, error.answer)
    except (errors.SMTPException, TimeoutError, OSError, ValueError) as error:
        return dict.fromkeys(parcel.recipients, _not_connected(error))
    try:
        for recipient in parcel.recipients:
            answer = answers[recipient] = await _deliver(smtp, channel, parcel, recipient, seconds)
            if not smtp.is_connected and recipient != parcel.recipients[-1]:
                left = temporary("ConnectionLost", "not tried: the connection ended before", blames_channel=True)
                same = answer if answer.result == "Temporary" else left
                return {**dict.fromkeys(parcel.recipients, same), **answers}
    finally:
        with suppress(errors.SMTPException, TimeoutError, OSError):
            await smtp.quit(timeout=min(seconds, 2.0))
        smtp.close()
    return answers


async def _connected(outbound: Outbound, seconds: float, channel: EmailChannel, material: Material) -> aiosmtplib.SMTP:
    mode = "StartTLS" if channel.tls is UNSET else channel.tls
    ca = "" if channel.ca is UNSET else material.authority(channel.ca)
    auth = channel.auth
    username = "" if auth is UNSET else material.text(auth.username_secret_ref)
    password = "" if auth is UNSET else material.text(auth.password_secret_ref)
    if auth is not UNSET and mode == "None":
        raise UnansweredError(
            permanent("TLSRequired", "credentials are only sent over TLS: set tls to StartTLS or Implicit",
                      blames_channel=True)
        )  # fmt: skip
    context = tls(ca)
    sock = await outbound.connect(channel.host, PORTS[mode] if channel.port is UNSET else channel.port)
    smtp = aiosmtplib.SMTP(
        hostname=channel.host,
        sock=sock,
        use_tls=mode == "Implicit",
        start_tls=False,
        tls_context=context,
        timeout=seconds,
        local_hostname=HELO,
    )
    try:
        await smtp.connect()
        await _greet(smtp)
        if mode == "StartTLS":
            if not smtp.supports_extension("starttls"):
                raise errors.SMTPNotSupported("STARTTLS")
            await smtp.starttls()
            await _greet(smtp)  # what it said before could have been anybody's words
        if auth is not UNSET:
            await smtp.login(username, password)
    except BaseException:
        smtp.close()  # and with it the socket
        raise
    return smtp


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.ehlo()
    except errors.SMTPHeloError:
        await smtp.helo()


async def _deliver(
    smtp: aiosmtplib.SMTP, channel: EmailChannel, parcel: Parcel, recipient: str, seconds: float
) -> Answer:
    stage = "sender"
    try:
        mail = compose(channel, parcel.message, message_id(parcel.key, recipient, channel.from_), recipient)
        async with asyncio.timeout(seconds):
            sender = parseaddr(channel.from_)[1]
            international = not (recipient + sender).isascii()
            if international and not smtp.supports_extension("smtputf8"):
                return permanent("AddressNotSupported", "the server takes no addresses beyond ASCII")
            options = ["SMTPUTF8"] if international else []
            encoding = "utf-8" if international else "ascii"
            await smtp.mail(sender, options=options, encoding=encoding)
            stage = "recipient"
            await smtp.rcpt(recipient, encoding=encoding)
            stage = "data"
            answer = await smtp.data(mail)
            return accepted(f"{answer.code} {answer.message}")
    except errors.SMTPResponseException as error:
        refusal = _refusal(error, stage)
        if refusal.result == "Permanent" or error.code != 421:
            # The next recipient begins anew on the same connection.
            with suppress(errors.SMTPException, TimeoutError, OSError):
                await smtp.rset(timeout=seconds)
        return refusal
    except (ValueError, MessageError):
        # Nothing was sent yet but perhaps the sender's address.
        return permanent("AddressNotSupported", "no mail can be addressed to this recipient")
    except (errors.SMTPException, TimeoutError, OSError) as error:
        smtp.close()
        if stage == "data":
            return ambiguous("NoAnswer", f"no answer after the message was sent ({type(error).__name__})")
        return temporary("ConnectionLost", f"the connection ended ({type(error).__name__})", blames_channel=True)


def _refusal(error: errors.SMTPResponseException, stage: str) -> Answer:
    """4xx is temporary, 5xx permanent (RFC 5321, 4.2.1)."""
    said = f"{error.code} {error.message}"
    about_channel = stage in ("sender", "login")
    if error.code >= 500:
        reason = {"recipient": "RecipientRefused", "sender": "SenderRefused", "data": "MessageRefused"}
        return permanent(reason.get(stage, "Unauthorized"), said, blames_channel=about_channel)
    return temporary("Deferred", said, blames_channel=about_channel or error.code == 421)


def _not_connected(error: Exception) -> Answer:
    if isinstance(error, errors.SMTPAuthenticationError):
        return _refusal(error, "login")
    if isinstance(error, errors.SMTPNotSupported):
        return permanent("NotSupported", "the server offers no STARTTLS, or no authentication that is known here",
                         blames_channel=True)  # fmt: skip
    if isinstance(error, errors.SMTPResponseException):
        return temporary("Deferred", f"{error.code} {error.message}", blames_channel=True)
    if isinstance(error, errors.SMTPException):
        cause = error.__cause__
        if isinstance(cause, ssl.SSLError | OSError):
            return unanswered(cause, sent=False)
        return temporary("Unreachable", f"no connection ({type(error).__name__})", blames_channel=True)
    return unanswered(error, sent=False)


def compose(channel: EmailChannel, message: Message, identifier: str, recipient: str) -> bytes:
    """The mail as it is sent: text and HTML, marked as written by a machine (RFC 3834)."""
    mail = EmailMessage(policy=SMTP if (channel.from_ + recipient).isascii() else SMTPUTF8)
    mail["From"] = _mailbox(channel.from_)
    mail["To"] = _mailbox(recipient)
    if channel.reply_to is not UNSET:
        mail["Reply-To"] = _mailbox(channel.reply_to)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = identifier
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
    return mail.as_bytes()


def _mailbox(text: str) -> Address:
    name, address = parseaddr(text)
    user, _, domain = address.rpartition("@")
    return Address(display_name=name, username=user, domain=domain)
