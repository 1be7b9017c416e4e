"""The stores of executions, one for each engine."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.controller.cache.objects import followed
from execution_options.kube.client import path_of
from execution_options.kube.engines import definition_of, executions_path
from execution_options.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.controller.cache.objects import EngineObject
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.kube.client import Kube
    from execution_options.kube.listing import Unreadable

ABSENT_SECONDS: Final = 300.0
"""Seconds between two requests for a kind that is not installed; a change of its definition causes one at once."""
ANNOUNCED: Final = 15.0
"""Longest time in seconds from the change of a definition until the API server serves its kind."""


class _Name(Struct, frozen=True, rename="camel"):
    name: str
    uid: str
    resource_version: str
    namespace: str = ""


class _Definition(Struct, frozen=True):
    """The name and version of a CustomResourceDefinition, whose annotations may be large."""

    metadata: _Name


class _Followed:
    """The executions of one engine.

    Attributes:
        previous: the store by an earlier description of the engine, used until this one is listed. Otherwise an edit
            of the description would make all executions seem gone for a moment.
    """

    def __init__(self, engine: Engine, store: Store[EngineObject], previous: Store[EngineObject] | None) -> None:
        self.engine = engine
        self.store = store
        self.previous = previous
        self.task: asyncio.Task[None] | None = None


class ExecutionStores:
    """Follows the executions of every engine other than bare pods.

    Args:
        changed: called with the old and the new state of every execution that changes.
        deleted: called with the last state of a deleted execution, before ``changed``.
        state: called when a collection has been listed, is no longer installed, or must not be read.
        unreadable: called with each execution that cannot be decoded.
    """

    def __init__(
        self,
        kube: Kube,
        changed: Callable[[Engine, EngineObject | None, EngineObject | None], None],
        deleted: Callable[[Engine, EngineObject], None],
        state: Callable[[], None],
        unreadable: Callable[[Engine, Unreadable], None],
    ) -> None:
        self._kube = kube
        self._changed = changed
        self._deleted = deleted
        self._state = state
        self._unreadable = unreadable
        self._followed: dict[str, _Followed] = {}
        self._group: asyncio.TaskGroup | None = None
        self._announced: dict[str, float] = {}
        self._definitions = Store(
            kube,
            path_of("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
            _Definition,
            metadata_only=True,
            on_change=self._defined,
        )

    def of(self, name: str) -> Store[EngineObject] | None:
        """The store of an engine's executions."""
        one = self._followed.get(name)
        return None if one is None else one.store

    def find(self, engine: str, namespace: str, name: str) -> EngineObject | None:
        """An execution as last seen."""
        one = self._followed.get(engine)
        if one is None:
            return None
        return one.store.get(namespace, name) or (one.previous.get(namespace, name) if one.previous else None)

    def all(self) -> Iterator[tuple[Engine, EngineObject]]:
        """Every execution, with its engine."""
        for one in self._followed.values():
            yield from ((one.engine, item) for item in one.store.items.values())

    def unreadable(self) -> dict[tuple[str, ...], int]:
        """How many executions cannot be decoded, by resource, such as `workflows.argoproj.io`."""
        counts = ((definition_of(one.engine), len(one.store.unreadable)) for one in self._followed.values())
        return {(resource,): count for resource, count in counts if count}

    @property
    def answered(self) -> bool:
        """Whether every collection was listed, is not installed, or must not be read."""
        return all(one.store.answered.is_set() for one in self._followed.values())

    async def wait_answered(self) -> None:
        """Wait until every collection was listed, is not installed, or must not be read."""
        # Engines, and their stores, may come, change and go meanwhile.
        while waiting := [one.store for one in self._followed.values() if not one.store.answered.is_set()]:
            await waiting[0].answered.wait()

    async def run(self) -> None:
        """Follow all collections until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._definitions.run())
            for one in self._followed.values():
                self._start(one)

    def use(self, engines: Engines) -> set[str]:
        """Follow the executions of these engines only; return the names of engines that are no longer followed."""
        gone: set[str] = set()
        for name, one in list(self._followed.items()):
            engine = engines.get(name)
            if engine == one.engine:
                continue
            del self._followed[name]
            if one.task is not None:
                one.task.cancel()
            one.store.answered.set()  # nothing will set it any more
            if engine is None or executions_path(engine) != executions_path(one.engine):
                gone.add(name)
            else:
                self._add(engine, one.store if one.store.synced.is_set() else one.previous)
        for name, engine in engines.items():
            if name not in self._followed and not engine.is_pod:
                self._add(engine, None)
        return gone

    def _add(self, engine: Engine, previous: Store[EngineObject] | None) -> None:
        store = Store(
            self._kube,
            executions_path(engine),
            followed(engine),
            optional=True,
            hidden=lambda: self._is_defined(engine),
            missing_pause=ABSENT_SECONDS,
            on_change=lambda old, new: self._changed(engine, old, new),
            on_unreadable=lambda one: self._unreadable(engine, one),
            on_deleted=lambda item: self._deleted(engine, item),
            on_state=self._state,
        )
        one = self._followed[engine.name] = _Followed(engine, store, previous)
        if self._group is not None:
            self._start(one)

    def _start(self, one: _Followed) -> None:
        if self._group is not None:
            one.task = self._group.create_task(self._follow(one))

    async def _follow(self, one: _Followed) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(one.store.run())
            await one.store.synced.wait()
            previous, one.previous = one.previous, None
            for key, item in () if previous is None else previous.items.items():
                if one.store.get(*key) is None:
                    self._changed(one.engine, item, None)

    def announced(self, engine: Engine) -> bool:
        """Whether the definition of an engine's kind has just changed, so that it may be served in a moment."""
        return time.monotonic() - self._announced.get(definition_of(engine), float("-inf")) < ANNOUNCED

    def definition_version(self, engine: Engine) -> str:
        """Resource version of the definition of an engine's kind; empty if there is none."""
        found = self._definitions.get("", definition_of(engine))
        return "" if found is None else found.metadata.resource_version

    def is_absent(self, engine: Engine) -> bool:
        """Whether the kind of an engine is not installed, so that it has no executions."""
        store = self.of(engine.name)
        return store is not None and store.missing and not self._is_defined(engine)

    def _is_defined(self, engine: Engine) -> bool:
        """Whether objects of an engine's kind may exist; built-in kinds, whose groups have no domain, always may."""
        return "." not in engine.group or self.is_defined(definition_of(engine))

    def is_defined(self, definition: str) -> bool:
        """Whether objects of a kind may exist although its version is not served.

        They must not seem deleted: that would be notified as their end, or release pods that wait for them.
        """
        return self._definitions.get("", definition) is not None or not self._definitions.synced.is_set()

    def _defined(self, old: _Definition | None, new: _Definition | None) -> None:
        item = new or old
        for one in self._followed.values():
            if item is not None and item.metadata.name == definition_of(one.engine):
                self._announced[item.metadata.name] = time.monotonic()
                one.store.nudge()
                self._state()
