"""Episodes: arrivals of executions at a terminal phase, and whether they are worth a notification."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from execution_options.engines.phases import Outcome

SLACK: Final = timedelta(seconds=60)
"""Most that the clock of an engine may be behind that of the API server."""


UNRECORDED: Final = " unrecorded"
"""Suffix of the note on an execution if some of its deliveries could not be recorded."""


def mark(outcome: Outcome, *, recorded: bool = True) -> str:
    """The note on an execution once its deliveries are recorded or given up.

    Args:
        outcome: its end.
        recorded: whether all deliveries are recorded.
    """
    note = f"{outcome.phase} {outcome.finished_at}".rstrip()
    return note if recorded else note + UNRECORDED


def is_marked(note: str | None, outcome: Outcome, deleted_at: str = "") -> bool:
    """Whether the note says that this episode is recorded or was given up.

    Episodes are distinguished by their times, so an engine that corrects the phase of an end makes no second one. If
    one of the two has no time, because the time was added later or has vanished, their phases are compared. An
    execution that ended while it was being deleted has no further end.

    Args:
        note: the note on the execution; ``None`` if there is none.
        outcome: the end to compare it with.
        deleted_at: when the deletion began (RFC 3339); empty if it did not.
    """
    if note is None:
        return False
    phase, _, at = note.removesuffix(UNRECORDED).partition(" ")
    if at == outcome.finished_at or (phase == outcome.phase and not (at and outcome.finished_at)):
        return True
    noted, deleted = time_of(at), time_of(deleted_at)
    return noted is not None and deleted is not None and noted >= deleted


def time_of(text: str | None) -> datetime | None:
    """A time (RFC 3339) written by Kubernetes or an engine; ``None`` if it is missing or invalid."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def is_news(outcome: Outcome, *since: str | None) -> bool:
    """Whether an execution ended late enough for a notification.

    An execution that was restored from a backup ended before it was created. Another may have ended before the operator
    could notify of it. Neither is news. An end without a time is.

    Args:
        outcome: its end.
        since: times of the API server (RFC 3339) that the end must not precede.
    """
    ended = time_of(outcome.finished_at)
    return ended is None or all(ended + SLACK >= at for at in (time_of(text) for text in since) if at is not None)
