"""What the controller knows of the cluster: executions and their pods, namespaces and service accounts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from execution_options.api.keys import ExecutionKey
from execution_options.api.meta import PartialObject
from execution_options.api.names import ID_LABEL, PODS_LABEL
from execution_options.controller.cache.accounts import ServiceAccounts
from execution_options.controller.cache.causes import Causes
from execution_options.controller.cache.executionstores import ExecutionStores
from execution_options.controller.cache.objects import LIVING, ExecutionObject, PodObject
from execution_options.controller.cache.programs import Programs
from execution_options.controller.cache.tracker import Tracker
from execution_options.engines.facts import Role, role
from execution_options.kube.client import path_of
from execution_options.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.api.keys import Key
    from execution_options.api.meta import ObjectMeta
    from execution_options.api.problem import Problem
    from execution_options.controller.cache.tracker import Tracked
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.kube.client import Kube
    from execution_options.kube.listing import Unreadable

ENABLED: Final = "enabled"
_PODS: Final = path_of("", "v1", "pods")


class Listener(Protocol):
    """Called for every change, after the world knows it."""

    def execution_changed(
        self,
        key: ExecutionKey,
        objects: tuple[ExecutionObject | None, ExecutionObject | None],
        records: tuple[Tracked | None, Tracked | None],
    ) -> None:
        """An execution was created, changed or deleted; ``objects`` and ``records`` are each the old and the new."""

    def execution_deleted(self, key: ExecutionKey, item: ExecutionObject, record: Tracked) -> None:
        """An execution was deleted, or left the watch; ``item`` is its last state."""

    def collection_changed(self) -> None:
        """Executions of an engine have become readable, or unreadable."""

    def execution_unreadable(self, engine: Engine, one: Unreadable) -> None:
        """An execution cannot be decoded."""

    def part_changed(self, metadata: ObjectMeta) -> None:
        """An object that an execution controls was created or deleted."""

    def part_updated(self, metadata: ObjectMeta) -> None:
        """An object that an execution controls has changed."""

    def pod_changed(self, key: Key) -> None:
        """A pod of an execution was created, changed or deleted."""

    def account_changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        """A service account was created, changed or deleted."""


class World:
    """Stores that follow the API server, and the indexes over them.

    Args:
        engines: the engines whose executions are followed at first.
        listener: called for changes.
    """

    def __init__(self, kube: Kube, engines: Engines, listener: Listener) -> None:
        self._kube = kube
        self._listener = listener
        self.engines = engines
        self.astray: dict[str, tuple[Problem, ...]] = {}
        """Problems with the paths of described engines, by name; known while this process is active."""
        self.tracker = Tracker()
        self.executions = ExecutionStores(
            kube, self._track, self._deleted, listener.collection_changed, listener.execution_unreadable
        )
        self.executions.use(engines)
        self.pods = Store(
            kube,
            _PODS,
            PodObject,
            label_selector=ID_LABEL,
            on_change=self._pod_changed,
            on_deleted=self._pod_deleted,
        )
        self.programs = Programs(self.pods, self.tracker, self._reads_programs)
        self.causes = Causes(self.pods, self.tracker)
        self.namespaces = Store(
            kube, path_of("", "v1", "namespaces"), PartialObject, metadata_only=True, on_change=self._namespace_changed
        )
        self.accounts = ServiceAccounts(kube, listener.account_changed)
        self._opted: set[str] = set()
        """Namespaces that opted in their bare pods."""
        self._opts_in = asyncio.Event()
        # One watch for all namespaces, and only metadata, because it sees every pod of the cluster without our label.
        self._bare = Store(
            kube,
            _PODS,
            PodObject,
            label_selector=f"!{ID_LABEL}",
            field_selector=LIVING,
            metadata_only=True,
            keep=self._is_bare,
            on_change=self._bare_changed,
        )
        """Bare pods without options, of the namespaces that opted in."""

    def _stores(self) -> Iterator[Store[Any]]:
        yield self.pods
        yield self.namespaces
        yield self.accounts.store

    @property
    def _pod_engine(self) -> Engine | None:
        return self.engines.of("", "Pod")

    def use(self, engines: Engines) -> list[tuple[ExecutionKey, Tracked]]:
        """Follow the executions of these engines from now on; return the records of those that are no longer followed.

        The listener is not called for these, because they still exist.
        """
        before, self.engines = self.engines, engines
        gone = self.executions.use(engines)
        dropped = [key for key in self.tracker.records if key.engine in gone]
        if engines.owning != before.owning:
            # Objects controlled by an execution of a new engine become parts of it, and the other way round.
            for engine, item in self.executions.all():
                key = ExecutionKey(engine.name, item.metadata.namespace, item.metadata.name)
                part, known = role(engines, engine, item.metadata) is Role.PART, key in self.tracker.records
                if part and known:
                    dropped.append(key)
                    self._track_part(None, item)
                elif not part and not known:
                    self._track(engine, None, item)
        forgotten = ((key, self.tracker.put(key, None)[0]) for key in dropped)
        return [(key, record) for key, record in forgotten if record is not None]

    @property
    def synced(self) -> bool:
        """Whether every collection was listed once."""
        return self.executions.answered and all(store.synced.is_set() for store in self._stores())

    async def wait_synced(self) -> None:
        """Wait until every collection was listed once."""
        for store in self._stores():
            await store.synced.wait()
        await self.executions.wait_answered()

    async def follow(self) -> None:
        """Follow all collections until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.executions.run())
            group.create_task(self._follow_bare())
            for store in self._stores():
                group.create_task(store.run())

    async def _follow_bare(self) -> None:
        await self._opts_in.wait()
        await self._bare.run()

    def execution(self, key: ExecutionKey) -> ExecutionObject | None:
        """An execution as last seen."""
        if self._pod_engine is None or key.engine != self._pod_engine.name:
            return self.executions.find(key.engine, key.namespace, key.name)
        return self.pods.get(key.namespace, key.name) or self._bare.get(key.namespace, key.name)

    def unreadable(self) -> dict[tuple[str, ...], int]:
        """How many objects cannot be decoded, by resource."""
        pods = len(self.pods.unreadable)
        return self.executions.unreadable() | ({("pods",): pods} if pods else {})

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace."""
        known = self.namespaces.get("", namespace)
        return {} if known is None else known.metadata.labels or {}

    def _track(self, engine: Engine, old: ExecutionObject | None, new: ExecutionObject | None) -> None:
        item = new or old
        if item is None:
            return
        if isinstance(new, PodObject):
            new.judge(engine)
        if role(self.engines, engine, item.metadata) is Role.PART:
            self._track_part(old, new)
            return
        key = ExecutionKey(engine.name, item.metadata.namespace, item.metadata.name)
        if old is not None and new is not None and old.finished and not new.finished:
            self.causes.restarted(item.metadata.uid)
        self._listener.execution_changed(key, (old, new), self.tracker.put(key, new))
        if new is None:
            self.programs.forget(item.metadata.uid)
            self.causes.forget(item.metadata.uid)

    def _reads_programs(self, uid: str) -> bool:
        """Whether the outcomes that the pods of an execution report are used."""
        key = self.tracker.key_of(uid)
        engine = None if key is None else self.engines.get(key.engine)
        return engine is not None and engine.pods.outcomes

    def _deleted(self, engine: Engine, item: ExecutionObject) -> None:
        """Report the last state of a deleted execution."""
        if isinstance(item, PodObject):
            item.judge(engine)
        key = ExecutionKey(engine.name, item.metadata.namespace, item.metadata.name)
        record = self.tracker.records.get(key)
        if record is not None and record.uid == item.metadata.uid:
            self._listener.execution_deleted(key, item, record)

    def _pod_deleted(self, pod: PodObject) -> None:
        if pod.metadata.controller is None and self._pod_engine is not None:
            self._deleted(self._pod_engine, pod)

    def _track_part(self, old: ExecutionObject | None, new: ExecutionObject | None) -> None:
        if old is not None and new is not None:
            self._listener.part_updated(new.metadata)
            return
        for item, add in ((old, False), (new, True)):
            owner = None if item is None else item.metadata.controller
            if item is not None and owner is not None:
                self.tracker.put_part(item.metadata.uid, owner.uid, add=add)
                self._listener.part_changed(item.metadata)

    def _pod_changed(self, old: PodObject | None, new: PodObject | None) -> None:
        item = new or old
        if item is None:
            return
        metadata = item.metadata
        if metadata.controller is None:
            if self._pod_engine is not None:
                self._track(self._pod_engine, old, new)
            return
        key = (metadata.namespace, metadata.name)
        if old is not None:
            self.tracker.put_pod(key, old.metadata, add=False)
        if new is not None:
            self.tracker.put_pod(key, new.metadata, add=True)
            if old is not None:
                new.recall(old)
        elif old is not None:
            self.programs.pod_gone(old)
            self.causes.pod_gone(old)
        self._listener.pod_changed(key)

    def _namespace_changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        item = new or old
        if item is None:
            return
        name, labels = item.metadata.name, item.metadata.labels or {}
        opted = new is not None and labels.get(PODS_LABEL) == ENABLED and item.metadata.deletion_timestamp is None
        if opted == (name in self._opted):
            return
        if opted:
            self._opted.add(name)
            self._opts_in.set()
        else:
            self._opted.discard(name)
        self._bare.relist()

    def _is_bare(self, pod: PodObject) -> bool:
        return pod.metadata.namespace in self._opted and pod.metadata.controller is None

    def _bare_changed(self, old: PodObject | None, new: PodObject | None) -> None:
        item = new or old
        if item is None or self._pod_engine is None:
            return
        metadata = item.metadata
        stamped = self.pods.get(metadata.namespace, metadata.name)
        # A pod that just got options moves from this store to the other; the two events come in either order.
        if stamped is None or (new is not None and stamped.metadata.uid != metadata.uid):
            self._track(self._pod_engine, old, new)
