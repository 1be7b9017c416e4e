"""For each change of the cluster: who has to look again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.admission.accountplan import created_account
from execution_options.admission.accounts import required_account
from execution_options.api import names
from execution_options.api.keys import OptionsKey
from execution_options.api.names import GATE, ID_LABEL, LIVE_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.executions import unreadable_note

if TYPE_CHECKING:
    from execution_options.api.keys import ExecutionKey, Key
    from execution_options.api.meta import ObjectMeta, PartialObject
    from execution_options.controller.assembly import Parts
    from execution_options.controller.cache import ExecutionObject, Tracked
    from execution_options.engines.profile import Engine
    from execution_options.kube.listing import Unreadable
    from execution_options.notifications.route import ChannelKey

COUNTS_SETTLE: Final = 1.0
"""Seconds in which many executions may come and go before their options are looked at once."""
PODS_SETTLE: Final = 5.0
"""The same for pods that run and wait."""


class Changes:
    """Has the parts reconcile what a change concerns.

    Args:
        parts: all parts of the process; they are put together while this exists already.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.active = False
        """Whether this process works; until then changes are only remembered, or whoever stands by would queue them
        for ever."""

    def execution_changed(
        self,
        key: ExecutionKey,
        objects: tuple[ExecutionObject | None, ExecutionObject | None],
        records: tuple[Tracked | None, Tracked | None],
    ) -> None:
        """Have the execution reconciled, its pods where its options changed, and the counts of its options."""
        (old, new), (before, after) = objects, records
        if new is None and before is not None:
            self._parts.of_executions.forget(key, before.uid)
        annotated = [None if item is None else _said(item) for item in objects]
        item = new or old
        if item is not None and annotated[0] != annotated[1]:
            self._parts.parallelism.board.execution_changed(key, item.metadata.uid, _identifier(item.metadata))
        if not self.active:
            return
        if new is not None:
            self._parts.executions.add(key)
        self._parts.outbox.ends.changed(key, old, new, after or before)
        if new is not None and (old is None or _told(old) != _told(new)):
            for pod in self._parts.world.tracker.pods(key):
                self._parts.pods.add(pod)
        if before != after:
            sources = (frozenset() if before is None else before.sources) | (
                frozenset() if after is None else after.sources
            )
            for uid in sources:
                options = self._parts.index.key_of(uid)
                if options is not None:
                    self._parts.options.add(options, COUNTS_SETTLE)

    def execution_unreadable(self, engine: Engine, one: Unreadable) -> None:
        """Say on the execution that it is left out."""
        if self.active and one.metadata.uid:
            self._parts.recorder.post(engine, one.metadata, unreadable_note(one.problem))

    def execution_deleted(self, key: ExecutionKey, item: ExecutionObject, record: Tracked) -> None:
        """Have it seen what is due at the end of the execution."""
        self._parts.outbox.ends.deleted(key, item, record)

    def collection_changed(self) -> None:
        """Have the engines reconciled."""
        self._parts.engines.look()

    def engines_used(self, dropped: list[tuple[ExecutionKey, Tracked]]) -> None:
        """Forget the executions of engines that are none any more, and have options say what they know of engines."""
        for key, record in dropped:
            self._parts.of_executions.forget(key, record.uid)
            # Their pods are held until it is known that nobody has them: the engine may only be replaced.
            self._parts.parallelism.board.execution_changed(key, record.uid, record.id)
        if self.active:
            for options in self._parts.index.all():
                self._parts.options.add(options)

    def part_changed(self, metadata: ObjectMeta) -> None:
        """Have it seen whose the pods are that the part controls."""
        self._parts.parallelism.board.part_changed(metadata.uid, metadata.namespace, _identifier(metadata))

    def part_updated(self, metadata: ObjectMeta) -> None:
        """Have the execution look for pods of a part that has no label to give them: it was there before the repair."""
        if not self.active or GATE in (metadata.labels or {}):
            return
        tracker = self._parts.world.tracker
        key = tracker.owning(metadata.uid, metadata.namespace, "")
        record = None if key is None else tracker.records.get(key)
        if key is not None and record is not None and record.missed:
            self._parts.executions.add(key)

    def pods_counted(self, uid: str) -> None:
        """Have the numbers of pods written into the status of options."""
        key = self._parts.index.key_of(uid)
        if key is not None:
            self._parts.options.add(key, PODS_SETTLE)

    def repository_changed(self, namespace: str) -> None:
        """Have options say that the namespace's artifact repository cannot be used, or can again."""
        for key in self._parts.index.in_namespace(namespace):
            self._parts.options.add(key)

    def options_found(self, key: OptionsKey) -> None:
        """Have options read that exist, but are not known yet."""
        self._parts.index.hint(key, None)
        self._parts.options.add(key)

    def pod_changed(self, key: Key) -> None:
        """Have the pod reconciled."""
        if self.active:
            self._parts.pods.add(key)

    def account_changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        """Have the options reconciled that own the account or ask for it."""
        item = new or old
        if item is None or not self.active:
            return
        for uid in {o.uid for one in (old, new) if one for o in one.metadata.owner_references or ()}:
            owner = self._parts.index.key_of(uid)
            if owner is not None:
                self._parts.options.add(owner)
        for key in self._parts.index.in_namespace(item.metadata.namespace):
            known = self._parts.index.get(key)
            if known is not None and known.options is not None:
                created = created_account(known.options)
                if item.metadata.name in (required_account(known.options), created and created[0]):
                    self._parts.options.add(key)

    def options_handed(self, kind: str, body: dict[str, Any], *, deleted: bool) -> None:
        """Take over options from kopf, and have them reconciled unless this version of them is known."""
        key = self._parts.index.hand(kind, body, deleted=deleted)
        # Whoever stands by lists everything before it begins to work.
        if key is not None and self.active:
            self._parts.options.add(key)

    def channel_changed(self, key: ChannelKey) -> None:
        """Have the channel reconciled, and the options that may use it; see whether it asks for a test."""
        self._parts.of_channels.changed(key)
        if self.active:
            self._parts.outbox.trials.look(OptionsKey(names.CHANNEL_KIND, key.namespace, key.name))
            for options in self._parts.index.all():
                if key.namespace in (options.namespace, self._parts.settings.namespace):
                    self._parts.options.add(options, COUNTS_SETTLE)


def _identifier(metadata: ObjectMeta) -> str:
    return (metadata.labels or {}).get(ID_LABEL, "")


def _told(item: ExecutionObject) -> tuple[str | None, bool]:
    """What pods follow: edits, and whether they are to have the label of those that a limit counts."""
    metadata = item.metadata
    return (metadata.annotations or {}).get(LIVE_ANNOTATION), GATE in (metadata.labels or {})


def _said(item: ExecutionObject) -> tuple[str, str | None, str | None]:
    """What options said of an execution."""
    annotations = item.metadata.annotations or {}
    return item.metadata.uid, annotations.get(SNAPSHOT_ANNOTATION), annotations.get(LIVE_ANNOTATION)
