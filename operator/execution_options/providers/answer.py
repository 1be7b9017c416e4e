"""What became of one attempt to send a message to one recipient."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Result = Literal["Accepted", "Temporary", "Permanent", "Ambiguous"]


class Answer(Struct, frozen=True, kw_only=True):
    """One recipient's.

    Attributes:
        result: Accepted: the service has the message. Temporary: try again. Permanent: trying again is of no use.
            Ambiguous: the service may have it, because it was sent and no answer came.
        reason: one word for programs (CamelCase), for example ``RateLimited``.
        text: the service's own words, masked and cut by ``providers.factory``.
        retry_after: seconds that the service asks to wait.
        blames_channel: whether the next message would fare the same whoever its recipient is (a revoked token, a
            host that does not answer), so that the channel is not ready.
    """

    result: Result
    reason: str
    text: str = ""
    retry_after: float | None = None
    blames_channel: bool = False


def accepted(text: str = "", reason: str = "Accepted") -> Answer:
    """The service has the message."""
    return Answer(result="Accepted", reason=reason, text=text)


def temporary(reason: str, text: str, *, retry_after: float | None = None, blames_channel: bool = False) -> Answer:
    """Try again."""
    return Answer(
        result="Temporary",
        reason=reason,
        text=text,
        retry_after=retry_after,
        blames_channel=blames_channel,
    )


def permanent(reason: str, text: str, *, blames_channel: bool = False) -> Answer:
    """Trying again is of no use."""
    return Answer(result="Permanent", reason=reason, text=text, blames_channel=blames_channel)


def ambiguous(reason: str, text: str) -> Answer:
    """It was sent, and no answer came."""
    return Answer(result="Ambiguous", reason=reason, text=text, blames_channel=True)
