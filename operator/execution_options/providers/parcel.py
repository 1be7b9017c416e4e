"""What a provider is handed: the message and whom it is for."""

from __future__ import annotations

from msgspec import Struct

from execution_options.notifications.message import Message


class Parcel(Struct, frozen=True, kw_only=True):
    """One delivery, or what is left of it.

    Attributes:
        key: ``namespace/name`` of the delivery; the same in every attempt.
        recipients: those that it has not reached yet; ``""`` where the channel itself is the destination.
    """

    key: str
    message: Message
    recipients: tuple[str, ...]
