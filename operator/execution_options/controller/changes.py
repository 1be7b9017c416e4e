"""What each change in the cluster enqueues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.admission.accountplan import created_account
from execution_options.admission.accounts import required_account
from execution_options.api import names
from execution_options.api.keys import OptionsKey
from execution_options.api.names import GATE, ID_LABEL, LIVE_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.status.executionevents import unreadable_note

if TYPE_CHECKING:
    from execution_options.api.keys import ExecutionKey, Key
    from execution_options.api.meta import ObjectMeta, PartialObject
    from execution_options.controller.assembly import Parts
    from execution_options.controller.cache import ExecutionObject, Tracked
    from execution_options.engines.profile import Engine
    from execution_options.kube.listing import Unreadable
    from execution_options.notifications.route import ChannelKey

EXECUTIONS_DELAY: Final = 1.0
"""Seconds for which changes of executions are gathered before their options are reconciled."""
PODS_DELAY: Final = 5.0
"""Seconds for which changes in the number of pods are gathered before their options are reconciled."""


class Changes:
    """Enqueues what a change concerns.

    Args:
        parts: all parts of the process, which may be incomplete when this is created.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.active = False
        """Whether this process is the active controller; the queues of a standby, which has no workers, stay empty."""

    def execution_changed(
        self,
        key: ExecutionKey,
        objects: tuple[ExecutionObject | None, ExecutionObject | None],
        records: tuple[Tracked | None, Tracked | None],
    ) -> None:
        """Enqueue the execution, its pods if its options changed, and its options if their counts changed."""
        (old, new), (before, after) = objects, records
        if new is None and before is not None:
            self._parts.of_executions.forget(key, before.uid)
        annotated = [None if item is None else _options_of(item) for item in objects]
        item = new or old
        if item is not None and annotated[0] != annotated[1]:
            self._parts.parallelism.board.execution_changed(key, item.metadata.uid, _identifier(item.metadata))
        if not self.active:
            return
        if new is not None:
            self._parts.executions.add(key)
        self._parts.outbox.ends.changed(key, old, new, after or before)
        if new is not None and (old is None or _followed_by_pods(old) != _followed_by_pods(new)):
            for pod in self._parts.world.tracker.pods(key):
                self._parts.pods.add(pod)
        if before != after:
            for uid in {uid for record in records if record is not None for uid in record.sources}:
                self._add_options(uid, EXECUTIONS_DELAY)

    def execution_unreadable(self, engine: Engine, one: Unreadable) -> None:
        """Post an Event on the execution."""
        if self.active and one.metadata.uid:
            self._parts.recorder.post(engine, one.metadata, unreadable_note(one.problem))

    def execution_deleted(self, key: ExecutionKey, item: ExecutionObject, record: Tracked) -> None:
        """Have the end of the execution notified."""
        self._parts.outbox.ends.deleted(key, item, record)

    def collection_changed(self) -> None:
        """Enqueue the engines."""
        self._parts.engines.enqueue()

    def engines_used(self, dropped: list[tuple[ExecutionKey, Tracked]]) -> None:
        """Forget the executions of engines that are no longer used, and enqueue all options."""
        for key, record in dropped:
            self._parts.of_executions.forget(key, record.uid)
            # Their pods stay held until it is certain that no engine owns them: this one may only be replaced.
            self._parts.parallelism.board.execution_changed(key, record.uid, record.id)
        if self.active:
            for options in self._parts.index.all():
                self._parts.options.add(options)

    def part_changed(self, metadata: ObjectMeta) -> None:
        """Have the owner of the part's pods determined."""
        self._parts.parallelism.board.part_changed(metadata.uid, metadata.namespace, _identifier(metadata))

    def part_updated(self, metadata: ObjectMeta) -> None:
        """Enqueue a repaired execution whose part does not label its pods, because it is older than the repair."""
        if not self.active or GATE in (metadata.labels or {}):
            return
        tracker = self._parts.world.tracker
        key = tracker.owning(metadata.uid, metadata.namespace, "")
        record = None if key is None else tracker.records.get(key)
        if key is not None and record is not None and record.missed:
            self._parts.executions.add(key)

    def pod_numbers_changed(self, uid: str) -> None:
        """Enqueue options, whose status has the numbers of their pods."""
        self._add_options(uid, PODS_DELAY)

    def repository_changed(self, namespace: str) -> None:
        """Enqueue the options of a namespace, whose status reports a problem with its artifact repository."""
        for key in self._parts.index.in_namespace(namespace):
            self._parts.options.add(key)

    def pod_changed(self, key: Key) -> None:
        """Enqueue the pod."""
        if self.active:
            self._parts.pods.add(key)

    def account_changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        """Enqueue the options that own the account or require it."""
        item = new or old
        if item is None or not self.active:
            return
        for uid in {o.uid for one in (old, new) if one for o in one.metadata.owner_references or ()}:
            self._add_options(uid)
        for key in self._parts.index.in_namespace(item.metadata.namespace):
            known = self._parts.index.get(key)
            if known is not None and known.options is not None:
                created = created_account(known.options)
                if item.metadata.name in (required_account(known.options), created and created[0]):
                    self._parts.options.add(key)

    def options_changed(self, key: OptionsKey) -> None:
        """Enqueue the options."""
        if self.active:
            self._parts.options.add(key)

    def channel_changed(self, key: ChannelKey) -> None:
        """Enqueue the channel and the options that may use it, and check whether it requests a test."""
        self._parts.of_channels.changed(key)
        if self.active:
            self._parts.outbox.trials.check(OptionsKey(names.CHANNEL_KIND, key.namespace, key.name))
            for options in self._parts.index.all():
                if key.namespace in (options.namespace, self._parts.settings.namespace):
                    self._parts.options.add(options, EXECUTIONS_DELAY)

    def _add_options(self, uid: str, after: float = 0.0) -> None:
        known = self._parts.index.of_uid(uid)
        if known is not None:
            self._parts.options.add(known.key, after)


def _identifier(metadata: ObjectMeta) -> str:
    return (metadata.labels or {}).get(ID_LABEL, "")


def _followed_by_pods(item: ExecutionObject) -> tuple[str | None, bool]:
    """What pods take from their execution: edits, and whether they have the label for a limit."""
    metadata = item.metadata
    return (metadata.annotations or {}).get(LIVE_ANNOTATION), GATE in (metadata.labels or {})


def _options_of(item: ExecutionObject) -> tuple[str, str | None, str | None]:
    """An execution's uid, its options at admission, and the edits since."""
    annotations = item.metadata.annotations or {}
    return item.metadata.uid, annotations.get(SNAPSHOT_ANNOTATION), annotations.get(LIVE_ANNOTATION)
