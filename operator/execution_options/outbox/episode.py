"""Episodes: arrivals of executions at a terminal phase, and which of them are news."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from execution_options.engines.phases import Outcome

SLACK: Final = timedelta(seconds=60)
"""How far the clock of an engine may be behind that of the API server."""


UNRECORDED: Final = " unrecorded"
"""How the note on an execution ends of which not every delivery could be recorded."""


def mark(outcome: Outcome, *, recorded: bool = True) -> str:
    """What is noted on an execution whose deliveries are recorded, or that was given up."""
    said = f"{outcome.phase} {outcome.finished_at}".rstrip()
    return said if recorded else said + UNRECORDED


def is_marked(note: str | None, outcome: Outcome, deleted_at: str = "") -> bool:
    """Whether ``note`` says that this episode is recorded, or was given up.

    Times tell episodes apart: an engine that corrects the phase of an end does not make a second one of it. Where
    one of both has no time, because it was added later or has vanished, the phase does. Nothing comes after
    the end of an execution that was being deleted by then.
    """
    if note is None:
        return False
    phase, _, at = note.removesuffix(UNRECORDED).partition(" ")
    if at == outcome.finished_at or (phase == outcome.phase and not (at and outcome.finished_at)):
        return True
    noted, deleted = time_of(at), time_of(deleted_at)
    return noted is not None and deleted is not None and noted >= deleted


def time_of(text: str | None) -> datetime | None:
    """A time of Kubernetes or of an engine; ``None`` where it is none."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def is_news(outcome: Outcome, *since: str | None) -> bool:
    """Whether an execution ended after all of these times (RFC 3339), which are the API server's.

    An execution that was restored from a backup ended before it was created, and one whose options nobody
    acted upon then, before the operator could notify: neither is news. One whose end has no time is.
    """
    ended = time_of(outcome.finished_at)
    return ended is None or all(ended + SLACK >= at for at in (time_of(text) for text in since) if at is not None)
