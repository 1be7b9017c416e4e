"""What is known of an execution from its end until nothing is left to do for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.names import NOTIFICATIONS_FINALIZER, NOTIFIED_ANNOTATION
from execution_options.outbox import episode

if TYPE_CHECKING:
    from execution_options.controller.cache import ExecutionObject, Tracked
    from execution_options.engines.phases import Outcome
    from execution_options.engines.profile import Engine
    from execution_options.engines.programs import ProgramOutcome


class Ending:
    """An execution that is ending, as last seen.

    Attributes:
        item: its last state.
        record: its record in the tracker.
        gone: whether the object no longer exists.
        deleted_at: when the watch reported its deletion (RFC 3339), if the object had no deletion timestamp.
        note: the end that is recorded, or empty; the object may lack the note yet.
        note_at: when the note is due on the object (monotonic seconds).
        kept: whether the note is kept only here, because the object needs no note or has no room.
        awaited: since when the end time, a program's outcome or the cause is awaited (monotonic seconds).
        recorded: names of the deliveries of this end that are recorded while others are refused.
        program: the outcome that programs in its pods report, if that counts.
        refused: since when the API server refuses to record deliveries (monotonic seconds).
    """

    def __init__(self, item: ExecutionObject, record: Tracked) -> None:
        self.item = item
        self.record = record
        self.gone = False
        self.deleted_at = ""
        self.note = ""
        self.note_at = 0.0
        self.kept = False
        self.awaited: float | None = None
        self.recorded: set[str] = set()
        self.program: ProgramOutcome | None = None
        self.refused: float | None = None

    @property
    def noted(self) -> bool:
        """Whether the object has the note."""
        return self.note in ("", (self.item.metadata.annotations or {}).get(NOTIFIED_ANNOTATION))

    @property
    def deleting(self) -> bool:
        """Whether the object has a deletion timestamp."""
        return self.item.metadata.deletion_timestamp is not None

    @property
    def held(self) -> bool:
        """Whether our finalizer holds the object."""
        return is_held(self.item)

    @property
    def deletion(self) -> str:
        """When its deletion was requested (RFC 3339); empty if it was not."""
        return self.item.metadata.deleted_at or self.deleted_at

    def outcome(self, engine: Engine) -> Outcome:
        """Its outcome; an execution that is deleted before it has ended ends by that."""
        outcome = self.item.outcome.with_program(self.program)
        return engine.status.after_deletion(outcome, self.deletion) if self.deletion else outcome

    def is_recorded(self, outcome: Outcome) -> bool:
        """Whether an end is recorded."""
        note = self.note or (self.item.metadata.annotations or {}).get(NOTIFIED_ANNOTATION)
        return episode.is_marked(note, outcome, self.deletion)


def is_concerned(item: ExecutionObject, record: Tracked) -> bool:
    """Whether an execution has to be notified, held or released."""
    if item.metadata.deletion_timestamp is not None:
        return record.stamped or is_held(item)
    if item.finished:
        return record.stamped or (is_held(item) and not record.unreadable)
    return record.held and not is_held(item)


def is_held(item: ExecutionObject) -> bool:
    """Whether an execution has our finalizer."""
    return NOTIFICATIONS_FINALIZER in (item.metadata.finalizers or ())
