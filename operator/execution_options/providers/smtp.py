"""Mail by SMTP: one connection for each delivery, and a separate mail for each recipient."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from email.errors import MessageError
from typing import TYPE_CHECKING, Final

import aiosmtplib
from aiosmtplib import errors
from aiosmtplib.auth import auth_plain_encode, auth_xoauth2_encode
from msgspec import UNSET, structs

from execution_options.providers.answer import Answer, accepted, ambiguous, permanent, temporary
from execution_options.providers.http import UnansweredError, tls, unanswered
from execution_options.providers.mail import Mail, mailbox
from execution_options.providers.material import MASK
from execution_options.providers.refusal import Stage, refusal

if TYPE_CHECKING:
    from execution_options.api.transports import EmailChannel, SmtpAuth
    from execution_options.providers.material import Material
    from execution_options.providers.outbound import Outbound
    from execution_options.providers.parcel import Parcel

PORTS: Final = {"StartTLS": 587, "Implicit": 465, "None": 25}
_FULL_NAME: Final = re.compile(r"(?!localhost\.)[A-Za-z0-9][-A-Za-z0-9]*(?:\.[A-Za-z0-9][-A-Za-z0-9]*)+")


async def send(
    outbound: Outbound, seconds: float, channel: EmailChannel, material: Material, parcel: Parcel
) -> dict[str, Answer]:
    """Send a mail to each recipient.

    Args:
        outbound: decides which addresses may be connected to.
        seconds: time-out of the connection, and of each mail.
        channel: the channel.
        material: data of the Secrets and ConfigMaps that the channel refers to.
        parcel: the message and its recipients.
    """
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
                left = temporary("ConnectionLost", "not tried: the connection had ended", blames_channel=True)
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
    credentials = None if channel.auth is UNSET else _Credentials(channel.auth, material)
    if credentials is not None and mode == "None":
        raise UnansweredError(
            permanent("TLSRequired", "credentials are sent only over TLS: set tls to StartTLS or Implicit",
                      blames_channel=True)
        )  # fmt: skip
    _check_sender(channel)
    context = tls(ca)
    sock = await outbound.connect(channel.host, PORTS[mode] if channel.port is UNSET else channel.port)
    smtp = aiosmtplib.SMTP(
        hostname=channel.host,
        sock=sock,
        use_tls=mode == "Implicit",
        start_tls=False,
        tls_context=context,
        timeout=seconds,
        local_hostname=_full_name(sock) if channel.helo_name is UNSET else channel.helo_name,
    )
    try:
        await smtp.connect()
        await _greet(smtp)
        if mode == "StartTLS":
            if not smtp.supports_extension("starttls"):
                raise _unsupported("the server offers no STARTTLS")
            await smtp.starttls()
            await _greet(smtp)  # what it announced before TLS could have come from anybody
        if credentials is not None:
            await credentials.log_in(smtp)
    except BaseException:
        smtp.close()  # closes the socket, too
        raise
    return smtp


def _check_sender(channel: EmailChannel) -> None:
    for field, text in (("from", channel.from_), ("replyTo", channel.reply_to)):
        try:
            if text is not UNSET:
                mailbox(text)
        except (ValueError, MessageError):
            answer = permanent("SenderRefused", f"the address in {field} cannot be used in a mail", blames_channel=True)
            raise UnansweredError(answer) from None


def _full_name(sock: socket.socket) -> str:
    """The name for EHLO: this machine's name if that is a full domain name, otherwise its address (RFC 5321, 4.1.4).

    Names of pods are not full domain names, and many servers refuse anything else. The sender's domain is not ours, and
    other servers refuse a client that claims it.
    """
    name = socket.gethostname()
    if _FULL_NAME.fullmatch(name):
        return name
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


class _Credentials:
    """A user name with a password or an access token.

    Raises:
        MaterialError: the Secret cannot be used.
    """

    def __init__(self, auth: SmtpAuth, material: Material) -> None:
        self._user = material.text(auth.username_secret_ref)
        self._token = "" if auth.access_token_secret_ref is UNSET else material.text(auth.access_token_secret_ref)
        self._password = "" if auth.password_secret_ref is UNSET else material.text(auth.password_secret_ref)

    async def log_in(self, smtp: aiosmtplib.SMTP) -> None:
        """Authenticate.

        Raises:
            UnansweredError: the server refuses the credentials, or does not offer a method for them.
        """
        offered = smtp.server_auth_methods
        tokens = "xoauth2" in offered
        if self._token and not tokens:
            raise _unsupported(f"the server accepts no access token: it offers {_listed(offered)}, not XOAUTH2")
        if not self._token and not smtp.supported_auth_methods:
            missing = "set auth.accessTokenSecretRef instead of passwordSecretRef" if tokens else "no password is sent"
            raise _unsupported(f"the server accepts no password: it offers {_listed(offered)}; {missing}")
        try:
            if self._token:
                await smtp.auth_xoauth2(self._user, self._token)
            else:
                await smtp.login(self._user, self._password)
        except errors.SMTPAuthenticationError as error:
            raise UnansweredError(self._refused(error, tokens=tokens)) from error

    def _refused(self, error: errors.SMTPAuthenticationError, *, tokens: bool) -> Answer:
        message = error.message
        for sent in (auth_plain_encode(self._user, self._password), auth_xoauth2_encode(self._user, self._token)):
            message = message.replace(sent.decode(), MASK)
        answer = refusal(error.code, message, "login")
        if self._token:
            # Tokens expire after about an hour; whatever renews them in the Secret may just be late.
            return temporary("Unauthorized", answer.text, blames_channel=True)
        hint = " (the server also offers XOAUTH2: auth.accessTokenSecretRef)" if tokens else ""
        return structs.replace(answer, text=answer.text + hint)


def _listed(methods: list[str]) -> str:
    return ", ".join(dict.fromkeys(method.upper() for method in methods)) or "no authentication"


def _unsupported(text: str) -> UnansweredError:
    return UnansweredError(permanent("NotSupported", text, blames_channel=True))


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.ehlo()
    except errors.SMTPHeloError:
        await smtp.helo()


async def _deliver(
    smtp: aiosmtplib.SMTP, channel: EmailChannel, parcel: Parcel, recipient: str, seconds: float
) -> Answer:
    stage: Stage = "sender"
    try:
        mail = Mail(channel, parcel.message, parcel.key, recipient)
        if mail.international and not smtp.supports_extension("smtputf8"):
            return _not_ascii(mail)
        options, encoding = (["SMTPUTF8"], "utf-8") if mail.international else ([], "ascii")
        async with asyncio.timeout(seconds):
            await smtp.mail(mail.sender, options=options, encoding=encoding)
            stage = "recipient"
            await smtp.rcpt(mail.recipient, encoding=encoding)
            stage = "data"
            answer = await smtp.data(mail.content)
            return accepted(f"{answer.code} {answer.message}")
    except errors.SMTPResponseException as error:
        if error.code != 421:
            # The next mail starts afresh on the same connection.
            with suppress(errors.SMTPException, TimeoutError, OSError):
                await smtp.rset(timeout=seconds)
        return refusal(error.code, error.message, stage)
    except (ValueError, MessageError):
        # Nothing was sent yet, except perhaps the sender's address.
        return permanent("AddressNotSupported", "this recipient cannot be used as an address of a mail")
    except (errors.SMTPException, TimeoutError, OSError) as error:
        smtp.close()
        if stage == "data":
            return ambiguous("NoAnswer", f"no answer after the message was sent ({type(error).__name__})")
        return temporary("ConnectionLost", f"the connection ended ({type(error).__name__})", blames_channel=True)


def _not_ascii(mail: Mail) -> Answer:
    """The answer if the server has no SMTPUTF8: a part before the @ that is not ASCII has no other form."""
    text = f"the server accepts only ASCII before the @: {', '.join(mail.international)}"
    is_sender = mail.international != [mail.recipient]
    return permanent("AddressNotSupported", text, blames_channel=is_sender)


def _not_connected(error: Exception) -> Answer:
    if isinstance(error, errors.SMTPResponseException):
        return refusal(error.code, error.message, "connection")
    if isinstance(error, errors.SMTPException):
        cause = error.__cause__
        if isinstance(cause, ssl.SSLError | OSError):
            return unanswered(cause, sent=False)
        return temporary("Unreachable", f"no connection ({type(error).__name__})", blames_channel=True)
    return unanswered(error, sent=False)
