"""The input of a provider: a message and its recipients."""

from __future__ import annotations

from msgspec import Struct, field

from execution_options.notifications.message import Message


class Parcel(Struct, frozen=True, kw_only=True):
    """One delivery with the recipients that do not have it yet.

    Attributes:
        key: ``namespace/name`` of the delivery; the same in every attempt.
        message: the message.
        recipients: recipients to send to; ``""`` if the channel itself is the destination.
        threads: recipient → the thread that the message answers in, if the service has threads.
    """

    key: str
    message: Message
    recipients: tuple[str, ...]
    threads: dict[str, str] = field(default_factory=dict)
