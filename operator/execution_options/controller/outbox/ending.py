"""What is known of an execution between its end and the moment at which nothing is left to do for it."""

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
    """An execution for which something is to be done, as it was seen last: it may be gone before.

    Attributes:
        item: as it was seen last.
        record: what is remembered of it.
        gone: whether it is not there any more.
        deleted_at: when the API server said that it is deleted, although the object itself never said so.
        note: which end is recorded, or empty; the object may not say so yet.
        note_at: when that is to be noted on the object (monotonic seconds).
        kept: whether the note stays here alone, because there is no need for it on the object, or no room.
        awaited: until when the engine may write when the execution ended (monotonic seconds).
        program: what programs in its pods say of the end, where that counts.
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
        self.program: ProgramOutcome | None = None
        self.refused: float | None = None

    @property
    def noted(self) -> bool:
        """Whether the object says what is recorded."""
        return self.note in ("", (self.item.metadata.annotations or {}).get(NOTIFIED_ANNOTATION))

    @property
    def deleting(self) -> bool:
        """Whether the object itself says that it is deleted."""
        return self.item.metadata.deletion_timestamp is not None

    @property
    def held(self) -> bool:
        """Whether the object must not go before it is let go."""
        return is_held(self.item)

    @property
    def deletion(self) -> str:
        """When its deletion was asked for (RFC 3339); empty where it was not."""
        return self.item.metadata.deleted_at or self.deleted_at

    def outcome(self, engine: Engine) -> Outcome:
        """Where it is; an execution that is deleted before it has ended ends by that."""
        outcome = self.item.outcome.with_program(self.program)
        return engine.status.after_deletion(outcome, self.deletion) if self.deletion else outcome

    def is_told(self, outcome: Outcome) -> bool:
        """Whether an end is recorded."""
        note = self.note or (self.item.metadata.annotations or {}).get(NOTIFIED_ANNOTATION)
        return episode.is_marked(note, outcome, self.deletion)


def is_concerned(item: ExecutionObject, record: Tracked) -> bool:
    """Whether there is anything to do for an execution."""
    if item.metadata.deletion_timestamp is not None:
        return record.stamped or is_held(item)
    if item.finished:
        return record.stamped or (is_held(item) and not record.unreadable)
    return record.held and not is_held(item)


def is_held(item: ExecutionObject) -> bool:
    """Whether an execution has our finalizer."""
    return NOTIFICATIONS_FINALIZER in (item.metadata.finalizers or ())
