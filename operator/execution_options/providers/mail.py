"""A mail: its sender and recipient, encoded as servers accept them, and its bytes. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import TYPE_CHECKING

import idna
from msgspec import UNSET

from execution_options.notifications.naming import message_id

if TYPE_CHECKING:
    from execution_options.api.transports import EmailChannel
    from execution_options.notifications.message import Message


def mailbox(text: str) -> Address:
    """The mailbox in ``name@domain`` or ``Name <name@domain>``.

    A domain that is not ASCII is written in punycode (RFC 5891), which every server accepts. If the part before the @
    is not ASCII either, the address stays unchanged: it needs SMTPUTF8 (RFC 6531) on its whole way anyway.

    Raises:
        ValueError: the text is not a mailbox.
    """
    name, angle, address = text.rpartition("<")
    user, _, domain = (address.removesuffix(">") if angle else text).rpartition("@")
    if user.isascii() and not domain.isascii():
        domain = idna.encode(domain, uts46=True).decode()
    return Address(name.strip(), user, domain)


class Mail:
    """A mail to one recipient, with text and HTML, marked as written by a machine (RFC 3834).

    Its body is 7-bit, encoded as quoted-printable or base64 if necessary: servers without 8BITMIME accept nothing else.

    Args:
        channel: the channel, which names the sender.
        message: the message.
        key: ``namespace/name`` of the delivery; ``Message-ID`` is derived from it.
        recipient: address of the recipient.

    Attributes:
        sender: address of the sender.
        recipient: address of the recipient.
        international: its addresses that only servers with SMTPUTF8 accept.
        content: the mail as bytes.

    Raises:
        ValueError, email.errors.MessageError: an address cannot be used in a mail.
    """

    def __init__(self, channel: EmailChannel, message: Message, key: str, recipient: str) -> None:
        headers = {"From": mailbox(channel.from_), "To": mailbox(recipient)}
        if channel.reply_to is not UNSET:
            headers["Reply-To"] = mailbox(channel.reply_to)
        self.sender = headers["From"].addr_spec
        self.recipient = headers["To"].addr_spec
        self.international = [one.addr_spec for one in headers.values() if not one.addr_spec.isascii()]
        policy = SMTPUTF8 if self.international else SMTP
        mail = EmailMessage(policy=policy.clone(cte_type="7bit"))
        for name, value in headers.items():
            try:
                mail[name] = value
            except (AttributeError, IndexError, KeyError) as error:
                # Python's parser raises these for some addresses, for example if the domain is a lone bracket.
                raise ValueError(f"{value.addr_spec!r} is not an address for mail") from error
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = message_id(key, recipient, self.sender)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        if message.html:
            mail.add_alternative(message.html, subtype="html")
        self.content = mail.as_bytes()
