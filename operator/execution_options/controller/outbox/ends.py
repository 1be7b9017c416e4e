"""Records the notifications of ended executions in the outbox, before any is sent."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from execution_options.admission.edit import Plan
from execution_options.api.keys import ExecutionKey
from execution_options.api.names import NOTIFICATIONS_FINALIZER, NOTIFIED_ANNOTATION
from execution_options.controller.outbox.delivery import delivery_path
from execution_options.controller.outbox.due import CAUSED
from execution_options.controller.outbox.ending import Ending, is_concerned
from execution_options.controller.runtime import Queue, Regarding
from execution_options.engines.metadatapatch import finalizer_patch, metadata_patch
from execution_options.engines.phases import Outcome
from execution_options.kube.client import ApiError
from execution_options.kube.engines import executions_path
from execution_options.outbox import episode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache import ExecutionObject, Tracked, World
    from execution_options.controller.outbox.due import Due
    from execution_options.controller.outbox.ledger import Ledger
    from execution_options.controller.outbox.outcomes import Outcomes
    from execution_options.controller.outbox.refusals import Refusals
    from execution_options.controller.runtime import Shell
    from execution_options.engines.patch import Operation
    from execution_options.engines.profile import Engine
    from execution_options.outbox.compose import Composed

logger = logging.getLogger(__name__)

MARK_DELAY: Final = 1.0
"""Seconds from recording deliveries to the note on the execution, so that they are sent first."""
REFUSALS: Final = frozenset({400, 403, 413, 422})
"""Status codes of refusals that retrying alone cannot fix."""
FORBIDDEN: Final = 403
REFUSED_SECONDS: Final = 600.0
"""Seconds for which a refused delivery is tried again, so that somebody can fix the quota, policy or right. After that
it is given up, because an execution must not be held for ever."""
RECORDERS_OF_ONE: Final = 12
"""Most ends of one namespace that are recorded at the same time."""
TIME_DELAY: Final = 3.0
"""Seconds for which an engine may write the end time after it has reported the end, and for which events of the last
pods, which come by another watch, are awaited."""
PODS_DELAY: Final = 0.1
"""Seconds between two checks whether these events have come."""
CAUSE_DELAY: Final = 1.0
"""Seconds for which the failure of a pod is awaited, which comes by another watch than that of the execution."""


class EndKey(NamedTuple):
    """One execution, told apart by its uid from others of the same name."""

    engine: str
    namespace: str
    name: str
    uid: str


class Ends:
    """Follows executions to their ends.

    Args:
        due: composes deliveries.
        shell: reads and writes.
        ledger: records deliveries and has them sent.
        refusals: reports what the API server refuses to record.
        outcomes: reports ends whose outcome only the program knows.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        world: World,
        due: Due,
        shell: Shell,
        ledger: Ledger,
        refusals: Refusals,
        outcomes: Outcomes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._due = due
        self._shell = shell
        self._ledger = ledger
        self._refusals = refusals
        self._outcomes = outcomes
        self._clock = clock
        self.active = False
        """Whether this process is the active controller; it gets all executions when it becomes active."""
        self.queue: Queue[EndKey] = Queue(each=RECORDERS_OF_ONE)
        self._known: dict[EndKey, Ending] = {}
        self._completed: dict[str, str] = {}
        """uid of a bare pod → its end that another process recorded."""

    def recall(self, completed: Mapping[str, str]) -> None:
        """Remember recorded ends, by the uid of their bare pods; to be called before this process works."""
        self._completed = dict(completed)

    def changed(
        self,
        key: ExecutionKey,
        old: ExecutionObject | None,
        new: ExecutionObject | None,
        record: Tracked | None,
    ) -> None:
        """An execution was created, changed or deleted."""
        item = new or old
        if not self.active or item is None or record is None or key.engine not in self._world.engines:
            return
        end = EndKey(*key, item.metadata.uid)
        known = self._known.get(end)
        if new is None:
            if known is None:
                return  # nothing was due, or its deletion was missed and its end is unknown
            self._read_programs(self._world.engines[key.engine], known)
            known.gone = True
        elif known is not None:
            known.item, known.record = new, record
        elif is_concerned(new, record):
            known = self._known[end] = Ending(new, record)
            known.note = self._completed.pop(end.uid, "")
            known.kept = bool(known.note)
        else:
            return
        self.queue.add(end)

    def deleted(self, key: ExecutionKey, item: ExecutionObject, record: Tracked) -> None:
        """An execution was deleted, with this last state; :meth:`changed` is called next."""
        end = EndKey(*key, item.metadata.uid)
        known = self._known.get(end)
        if not self.active or not record.stamped or key.engine not in self._world.engines:
            return
        if known is None:
            if item.finished:
                return
            known = self._known[end] = Ending(item, record)
        known.item = item
        # An object without finalizers and grace period goes at once and never has a deletion timestamp.
        known.deleted_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.queue.add(end)

    async def reconcile(self, end: EndKey) -> float | None:
        """Record one execution's deliveries and note that on it; seconds until it is due again, or ``None``."""
        known, engine = self._known.get(end), self._world.engines.get(end.engine)
        if known is None or engine is None:
            self._known.pop(end, None)
            return None
        item, gone = known.item, known.gone
        if not gone:
            self._read_programs(engine, known)
        outcome = known.outcome(engine)
        if outcome.terminal and not known.is_recorded(outcome):
            pause = self._pause(ExecutionKey(*end[:3]), engine, known, outcome)
            if pause > 0:
                return pause
            outcome = await self._record_end(end, engine, known, outcome)
        if (known.item, known.gone) != (item, gone):
            return 0.0
        pause = 0.0 if gone or known.held or known.noted or known.kept else known.note_at - self._clock()
        if pause > 0:
            return pause
        if not gone:
            await self._mark(engine, known, outcome)
        # The note is remembered here until the object is seen to have it.
        if (known.item, known.gone) == (item, gone) and (gone or known.noted):
            self._known.pop(end, None)
        return None

    def _read_programs(self, engine: Engine, known: Ending) -> None:
        """Read the outcome that programs in the pods of an execution report."""
        if engine.pods.outcomes:
            known.program = self._world.programs.of(known.item.metadata.uid)

    def _pause(self, key: ExecutionKey, engine: Engine, known: Ending, outcome: Outcome) -> float:
        """Seconds for which the end time, the outcome that the program reports, or the cause may still come."""
        if known.gone:
            return 0.0
        waits_for_pods = (
            engine.pods.outcomes
            and known.item.outcome.phase == "SUCCEEDED"
            and not self._world.programs.are_complete(known.item.metadata.uid)
        )
        waits_for_cause = (
            known.record.stamped
            and outcome.phase in CAUSED
            and not engine.is_pod
            and self._world.causes.may_follow(key)
        )
        if outcome.finished_at and not (waits_for_pods or waits_for_cause):
            return 0.0
        if known.awaited is None:
            known.awaited = self._clock()
        delay = CAUSE_DELAY if outcome.finished_at and not waits_for_pods else TIME_DELAY
        left = known.awaited + delay - self._clock()
        # A change of the execution enqueues it at once; a change of one of its pods does not.
        return min(left, PODS_DELAY) if waits_for_pods or waits_for_cause else left

    async def _record_end(self, end: EndKey, engine: Engine, known: Ending, outcome: Outcome) -> Outcome:
        """Record the deliveries that are due; return the outcome for which they were recorded."""
        metadata, gone = known.item.metadata, known.gone
        if known.record.stamped:
            self._outcomes.ended(engine, metadata, known.record, outcome)
        composed = await self._due.of(engine, known, outcome)
        if outcome.deleted:
            if composed and metadata.deletion_timestamp is None and await self._is_there(engine, metadata):
                return known.item.outcome  # it exists and has only left the watch
        elif known.deleting:
            # Another process may have recorded its deletion without having noted it yet.
            deletion = engine.status.after_deletion(Outcome("RUNNING", outcome.message), metadata.deleted_at)
            of_deletion = await self._due.of(engine, known, deletion)
            if await self._is_any_recorded(end.namespace, of_deletion):
                outcome, composed = deletion, of_deletion
        recorded = await self._record(end, engine, known, outcome, composed) if composed else True
        known.refused = known.awaited = None  # another end may follow
        known.recorded.clear()
        if composed or outcome.deleted:
            known.note = episode.mark(outcome, recorded=recorded)
            known.kept = not composed or engine.is_pod
            known.note_at = self._clock() + (0.0 if gone else MARK_DELAY)
        return outcome

    async def _is_there(self, engine: Engine, metadata: ObjectMeta) -> bool:
        found = await self._shell.read(executions_path(engine, metadata.namespace, metadata.name))
        return found is not None and found.uid == metadata.uid

    async def _is_any_recorded(self, namespace: str, composed: list[Composed]) -> bool:
        for one in composed:
            if await self._shell.read(delivery_path((namespace, one.name))) is not None:
                return True
        return False

    async def _record(
        self, end: EndKey, engine: Engine, known: Ending, outcome: Outcome, composed: list[Composed]
    ) -> bool:
        """Record deliveries; ``False`` if any was refused and is given up.

        Raises:
            ApiError: one was not recorded, and has to be tried again.
        """
        refused: list[tuple[Composed, ApiError]] = []
        pending = [one for one in composed if one.name not in known.recorded]
        for number, one in enumerate(pending, start=1):
            completes = engine.is_pod and number == len(pending) and not refused
            try:
                await self._ledger.record(end.namespace, one.completing(episode.mark(outcome)) if completes else one)
                known.recorded.add(one.name)
            except ApiError as error:
                if error.status not in REFUSALS:
                    raise
                refused.append((one, error))  # the others are still recorded
        if not refused:
            for one in composed:
                self._refusals.recorded(end.namespace, one)
            return True
        if known.refused is None:
            known.refused = self._clock()
        last = self._clock() - known.refused >= REFUSED_SECONDS
        for one, refusal in refused:
            self._refusals.refused(end.namespace, one, refusal, last=last)
        if not last:
            raise refused[0][1]
        return False

    async def _mark(self, engine: Engine, known: Ending, outcome: Outcome) -> None:
        """Write the note on the execution, and add our finalizer, or remove it when nothing more is due."""
        note = "" if known.kept else known.note
        over, hold = outcome.terminal or known.deleting, known.record.held

        def finalizer(now: ObjectMeta) -> list[Operation]:
            if engine.is_pod and over and now.deletion_timestamp is None:
                return []  # a launcher may take any change of an ended pod for its end
            if over or (hold and now.deletion_timestamp is None):
                return finalizer_patch(now, NOTIFICATIONS_FINALIZER, held=not over)
            return []

        def noted(now: ObjectMeta) -> Plan:
            changes = {"annotations": {NOTIFIED_ANNOTATION: note}} if note else {}
            return Plan([*metadata_patch(now, changes), *finalizer(now)])

        metadata = known.item.metadata
        path = executions_path(engine, metadata.namespace, metadata.name)
        try:
            await self._shell.patch(path, metadata, "notified" if note else "held", noted)
        except ApiError as error:
            if not note or error.status not in REFUSALS:
                raise
            # An execution must not be held for ever because there is no room for the note.
            await self._shell.patch(path, metadata, "held", lambda now: Plan(finalizer(now)))
            if error.status == FORBIDDEN:
                raise
            known.kept = True
            self._refusals.unnoted(Regarding.of(engine, metadata), note, error)
