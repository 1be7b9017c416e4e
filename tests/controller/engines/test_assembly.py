"""Engines are used as they are described, and reconciled when something about them changes."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from execution_options.controller.engines.assembly import EngineLoop
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.settings import Settings
from execution_options.controller.runtime.writer import Writer
from execution_options.engines.registry import builtin_engines
from support import descriptions
from support.fakes import FakeApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GONE: Final = ("gone", "record")


class World:
    """Uses engines, and forgets one execution with each change."""

    def __init__(self) -> None:
        self.engines = builtin_engines()
        self.astray: dict[str, Any] = {}
        self.executions = SimpleNamespace(is_defined=lambda _: True)

    def use(self, engines: Any) -> list[Any]:
        self.engines = engines
        return [GONE]


class Loop:
    """The loop of engines over a store that is filled by hand."""

    def __init__(self) -> None:
        self.world = World()
        self.used: list[Any] = []
        kube: Any = FakeApi()
        world: Any = self.world
        writer = Writer(kube, lambda: True, 1.0)
        self.metrics = Metrics()
        self.loop = EngineLoop(kube, world, writer, Settings(namespace="system"), self.metrics, self.used.append)

    def describe(self, version: str = "1", **changes: Any) -> None:
        metadata = {"name": "backup", "uid": "u", "resourceVersion": version, "generation": int(version)}
        self.loop.store.hand({"metadata": metadata, "spec": descriptions.spec(**changes)}, deleted=False)

    @property
    def depth(self) -> float | None:
        return self.metrics.registry.get_sample_value("execution_options_queue_depth", {"queue": "engines"})

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the descriptions, which are listed already."""
        self.loop._index.run = asyncio.Event().wait  # type: ignore[assignment,method-assign]
        self.loop.store.synced.set()
        task = asyncio.create_task(self.loop.follow())
        await self.loop.wait_synced()
        yield
        task.cancel()

    async def until_used(self, times: int) -> None:
        async with asyncio.timeout(5):
            while len(self.used) < times:  # noqa: ASYNC110 - nothing reports it
                await asyncio.sleep(0)


async def test_the_built_in_engines_are_used_at_first_and_change_nothing() -> None:
    made = Loop()
    async with made.following():
        assert made.loop.synced
    assert made.used == []


async def test_a_described_engine_is_used_and_what_is_no_longer_followed_is_reported() -> None:
    made = Loop()
    async with made.following():
        made.describe()
        await made.until_used(1)
        assert "backup" in made.world.engines
        assert made.used == [[GONE]]
        assert made.depth == 1


async def test_an_edit_of_the_description_is_used_and_a_deletion_too() -> None:
    made = Loop()
    async with made.following():
        made.describe()
        await made.until_used(1)
        made.describe("2", plural="copies")
        await made.until_used(2)
        assert made.world.engines["backup"].plural == "copies"
        metadata = {"name": "backup", "uid": "u", "resourceVersion": "3", "generation": 2}
        made.loop.store.hand({"metadata": metadata, "spec": descriptions.spec(plural="copies")}, deleted=True)
        await made.until_used(3)
        assert "backup" not in made.world.engines


async def test_a_description_with_the_same_meaning_is_only_reconciled() -> None:
    made = Loop()
    async with made.following():
        made.describe()
        await made.until_used(1)
        made.describe("2")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(made.used) == 1


def test_engines_are_enqueued_once_however_often_something_changes() -> None:
    made = Loop()
    for _ in range(3):
        made.loop.enqueue()
    assert made.depth == 1
