"""Records in the outbox what is due when executions end, before anything is sent."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec
from msgspec import UNSET

from execution_options.api import decoding
from execution_options.api.names import (
    DISABLE_NOTIFICATIONS_ANNOTATION,
    NOTIFICATIONS_FINALIZER,
    NOTIFIED_ANNOTATION,
)
from execution_options.controller import live
from execution_options.controller.live import Plan
from execution_options.controller.objects import EngineObject, OptionsKey
from execution_options.controller.patching import finalizer_patch, metadata_patch
from execution_options.controller.queue import Queue
from execution_options.engines.phases import Outcome
from execution_options.kube.client import ApiError, path_of
from execution_options.options import reference
from execution_options.options.live import InvalidLiveError, current_layers, edited
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError
from execution_options.outbox import episode
from execution_options.outbox.compose import compose, ended, is_disabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.resources import OptionsObject
    from execution_options.controller.index import OptionsIndex
    from execution_options.controller.objects import ExecutionKey, ExecutionObject
    from execution_options.controller.refusals import Refusals
    from execution_options.controller.shell import Shell
    from execution_options.controller.tracking import Tracked
    from execution_options.controller.world import World
    from execution_options.engines.profile import Engine
    from execution_options.kube.meta import ObjectMeta
    from execution_options.notifications.route import Channels
    from execution_options.options.merge import Effective
    from execution_options.outbox.compose import Composed

logger = logging.getLogger(__name__)

MARK_DELAY: Final = 1.0
"""Seconds between recording deliveries and noting that on the execution: what is due is sent first."""
DELETED: Final = "deleted"
"""Tells the end of an execution that was aborted by its deletion from all others."""
REFUSALS: Final = frozenset({400, 403, 413, 422})
"""What the API server answers where it may not be asked again with success unless somebody changes something."""
PATIENCE: Final = 600.0
"""Seconds in which somebody may: a quota, a policy, a right. An execution must not be held for ever."""
TIME_DELAY: Final = 3.0
"""Seconds that an engine has to write when an execution ended, where it does so later than that it ended."""


class EndKey(NamedTuple):
    """One execution, which may be gone, and not another one of the same name."""

    engine: str
    namespace: str
    name: str
    uid: str


class Directory(Protocol):
    """The channels as they are known."""

    def channels(self, namespace: str) -> Channels:
        """What notifications of a namespace can use."""


class Recording(Protocol):
    """Records deliveries."""

    async def record(self, namespace: str, composed: Composed) -> None:
        """Create a delivery, which is then sent; that it is there already is as good."""


class Ends:
    """Follows executions to their ends.

    Args:
        world: what is known of the cluster.
        index: the options.
        directory: the channels.
        shell: reads and writes.
        deliveries: sends what was recorded.
        refusals: is told what the API server does not record.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        world: World,
        index: OptionsIndex,
        directory: Directory,
        shell: Shell,
        deliveries: Recording,
        refusals: Refusals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._index = index
        self._directory = directory
        self._shell = shell
        self._deliveries = deliveries
        self._refusals = refusals
        self._clock = clock
        self.since: str | None = None
        """When the cluster first knew deliveries: what ended before is no news."""
        self.active = False
        """Whether this process works; one that stands by looks at everything when it begins to."""
        self.queue: Queue[EndKey] = Queue()
        self._last: dict[EndKey, ExecutionObject] = {}
        """As they were seen last, until there is nothing more to do: they may be gone before."""
        self._gone: set[EndKey] = set()
        self._recorded: dict[EndKey, str] = {}
        """What is yet to be noted on executions: that their deliveries are recorded."""
        self._refused: dict[EndKey, float] = {}
        """Since when the API server refuses to record deliveries."""
        self._awaited: set[EndKey] = set()

    def changed(
        self,
        key: ExecutionKey,
        old: ExecutionObject | None,
        new: ExecutionObject | None,
        record: Tracked | None,
    ) -> None:
        """An execution came, changed or went."""
        item = new or old
        engine = self._world.engines.get(key.engine)
        if not self.active or item is None or engine is None or record is None or not record.stamped:
            return
        end = EndKey(*key, item.metadata.uid)
        if new is None:
            if end not in self._last and (item.finished or engine.status.deleted is UNSET):
                return
            self._gone.add(end)
        elif not (item.finished or _is_deleting(item) or _is_held(item) is not record.held):
            return
        self._last[end] = item
        self.queue.add(end)

    async def reconcile(self, end: EndKey) -> float | None:
        """Bring one execution to where its deliveries are recorded and it says so; seconds until more is to do."""
        item, engine = self._last.get(end), self._world.engines.get(end.engine)
        if item is None or engine is None:
            self._drop(end)
            return None
        gone = end in self._gone
        if end in self._recorded:
            await self._settle(end, engine, item, self._recorded[end])
            return None
        outcome = await self._outcome(engine, item, gone=gone)
        if not outcome.terminal:
            await self._hold(engine, item, gone=gone)
            self._drop(end)
            return None
        if not outcome.finished_at and not gone and end not in self._awaited:
            self._awaited.add(end)
            return TIME_DELAY
        handled = self._is_handled(engine, item.metadata, outcome)
        deleted = outcome.phase == engine.status.deleted and (gone or _is_deleting(item))
        composed = [] if handled else self._compose(engine, item.metadata, outcome, deleted=deleted)
        if not composed:
            await self._settle(end, engine, item, None)
            return None
        note = self._recorded[end] = episode.mark(outcome, recorded=await self._record(end, composed))
        if not _is_held(item):
            return MARK_DELAY
        await self._settle(end, engine, item, note)
        return None

    # What is due.

    async def _outcome(self, engine: Engine, item: ExecutionObject, *, gone: bool) -> Outcome:
        """Where an execution is; of a pod, of which little is kept, the whole is read."""
        if isinstance(item, EngineObject):
            outcome = item.outcome
        else:
            document = msgspec.to_builtins(item)
            if not gone and item.finished:
                try:
                    document = decoding.read_object(await self._shell.kube.get(_path(engine, item.metadata)))
                except ApiError as error:
                    if not error.is_not_found:
                        raise
            outcome = engine.status.outcome(document)
        if gone and not outcome.terminal and engine.status.deleted is not UNSET:
            return Outcome(engine.status.deleted, outcome.message, item.metadata.deletion_timestamp or "")
        return outcome

    def _is_handled(self, engine: Engine, metadata: ObjectMeta, outcome: Outcome) -> bool:
        note = (metadata.annotations or {}).get(NOTIFIED_ANNOTATION)
        if episode.is_marked(note, outcome):
            return True
        # One that was told to be deleted, and was notified as that, may still come to an end of its own.
        deleted = engine.status.deleted
        return note is not None and metadata.deletion_timestamp is not None and note.split(" ")[0] == deleted

    def _compose(self, engine: Engine, metadata: ObjectMeta, outcome: Outcome, *, deleted: bool) -> list[Composed]:
        if not episode.is_news(outcome, metadata.creation_timestamp, self.since):
            return []
        try:
            effective = self._effective(metadata, outcome)
        except (InvalidSnapshotError, InvalidLiveError) as error:
            logger.warning("%s %s/%s: not notified: %s", engine.kind, metadata.namespace, metadata.name, error)
            return []
        if not effective.notifications:
            return []
        disabled = is_disabled(effective, _flag(metadata))
        # An object is deleted once, but the time of that is written anew while its grace period is cut short.
        end = ended(engine, metadata, outcome, DELETED if deleted else outcome.finished_at)
        return compose(end, effective, self._directory.channels(metadata.namespace), disabled=disabled)

    def _effective(self, metadata: ObjectMeta, outcome: Outcome) -> Effective:
        """The options as they were when the execution ended, edits that nobody brought to it in time included."""
        ended = episode.time_of(outcome.finished_at)

        def find(kind: str, name: str) -> OptionsObject | None:
            known = self._index.get(OptionsKey.of(kind, metadata.namespace, name))
            since = None if known is None else episode.time_of(known.since)
            in_time = ended is None or (since is not None and since <= ended)
            return known.options if known is not None and in_time else None

        state = live.state(metadata)
        return merge(current_layers(state.snapshot, edited(state.snapshot, state.live, find)))

    # What is written.

    async def _record(self, end: EndKey, composed: list[Composed]) -> bool:
        """Record deliveries; whether all of them are, or otherwise will never be.

        Raises:
            ApiError: one is not, and has to be tried again.
        """
        refused: list[tuple[Composed, ApiError]] = []
        for one in composed:
            try:
                await self._deliveries.record(end.namespace, one)
            except ApiError as error:
                if error.status not in REFUSALS:
                    raise
                refused.append((one, error))  # which keeps no other from being recorded
        if not refused:
            for one in composed:
                self._refusals.recorded(end.namespace, one)
            return True
        last = self._clock() - self._refused.setdefault(end, self._clock()) >= PATIENCE
        for one, refusal in refused:
            self._refusals.refused(end.namespace, one, refusal, last=last)
        if not last:
            raise refused[0][1]
        return False

    async def _settle(self, end: EndKey, engine: Engine, item: ExecutionObject, note: str | None) -> None:
        """Note on the execution that its deliveries are recorded, and let it go."""
        if end not in self._gone and (note is not None or _is_held(item)):

            def plan(now: ObjectMeta) -> Plan:
                changes = {} if note is None else {"annotations": {NOTIFIED_ANNOTATION: note}}
                return Plan([*metadata_patch(now, changes), *finalizer_patch(now, NOTIFICATIONS_FINALIZER, held=False)])

            await self._shell.settle(_path(engine, item.metadata), item.metadata, "notified", plan)
        self._drop(end)

    async def _hold(self, engine: Engine, item: ExecutionObject, *, gone: bool) -> None:
        """See to the finalizer of an execution that has not ended."""
        deleting = _is_deleting(item)
        if gone or (deleting and not _is_held(item)):
            return

        def plan(now: ObjectMeta) -> Plan:
            wanted = now.deletion_timestamp is None and not deleting
            return Plan(finalizer_patch(now, NOTIFICATIONS_FINALIZER, held=wanted))

        await self._shell.settle(_path(engine, item.metadata), item.metadata, "held", plan)

    def _drop(self, end: EndKey) -> None:
        self._last.pop(end, None)
        self._recorded.pop(end, None)
        self._refused.pop(end, None)
        self._gone.discard(end)
        self._awaited.discard(end)


def _flag(metadata: ObjectMeta) -> bool | None:
    try:
        said = (metadata.annotations or {}).get(DISABLE_NOTIFICATIONS_ANNOTATION)
        return reference.parse_flag(DISABLE_NOTIFICATIONS_ANNOTATION, said)
    except reference.InvalidReferenceError:
        return None


def _is_deleting(item: ExecutionObject) -> bool:
    return item.metadata.deletion_timestamp is not None


def _is_held(item: ExecutionObject) -> bool:
    return NOTIFICATIONS_FINALIZER in (item.metadata.finalizers or ())


def _path(engine: Engine, metadata: ObjectMeta) -> str:
    return path_of(engine.group, engine.version, engine.plural, metadata.namespace, metadata.name)
