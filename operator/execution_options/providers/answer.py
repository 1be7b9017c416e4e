"""The result of one attempt to send a message to one recipient."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Result = Literal["Accepted", "Temporary", "Permanent", "Ambiguous"]


class Answer(Struct, frozen=True, kw_only=True):
    """The result for one recipient.

    Attributes:
        result: Accepted: the service has the message. Temporary: try again. Permanent: trying again is useless.
            Ambiguous: the message was sent and no answer came, so the service may have it.
        reason: one word for programs (CamelCase), for example ``RateLimited``.
        text: the service's answer, masked and cut by ``providers.factory``.
        retry_after: seconds that the service asks to wait.
        blames_channel: whether a message to any other recipient would fail, too (a revoked token, a host that does
            not answer), so that the channel is not ready.
        thread: where an answer to an accepted message goes, if the service has threads.
    """

    result: Result
    reason: str
    text: str = ""
    retry_after: float | None = None
    blames_channel: bool = False
    thread: str = ""


def accepted(text: str = "", reason: str = "Accepted", thread: str = "") -> Answer:
    """An answer that the service has the message. See :class:`Answer` for the arguments."""
    return Answer(result="Accepted", reason=reason, text=text, thread=thread)


def temporary(reason: str, text: str, *, retry_after: float | None = None, blames_channel: bool = False) -> Answer:
    """An answer that it is worth trying again. See :class:`Answer` for the arguments."""
    return Answer(
        result="Temporary",
        reason=reason,
        text=text,
        retry_after=retry_after,
        blames_channel=blames_channel,
    )


def permanent(reason: str, text: str, *, blames_channel: bool = False) -> Answer:
    """An answer that trying again is useless. See :class:`Answer` for the arguments."""
    return Answer(result="Permanent", reason=reason, text=text, blames_channel=blames_channel)


def ambiguous(reason: str, text: str) -> Answer:
    """An answer for a message that was sent and got no reply. It blames the channel. See :class:`Answer`."""
    return Answer(result="Ambiguous", reason=reason, text=text, blames_channel=True)
