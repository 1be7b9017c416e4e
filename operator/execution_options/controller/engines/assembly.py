"""Engines come, change and go while the controller runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from execution_options.api import names
from execution_options.controller.engines.reconciler import EngineReconciler
from execution_options.controller.runtime import Queue, work
from execution_options.kube.engines import EngineIndex, StoredEngine
from execution_options.kube.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import ExecutionKey
    from execution_options.controller.cache import Tracked, World
    from execution_options.controller.runtime import Metrics, Settings, Writer
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

_ALL: Final = "all"
"""The only key of the queue: all engines are reconciled together."""
_DEFINITION: Final = f"{names.ENGINE_PLURAL}.{names.GROUP}"
_DELAY: Final = 0.05
"""Seconds for which changes are gathered before one reconcile."""


class EngineLoop:
    """Follows the descriptions of engines, has the world use them, and reconciles them while active.

    Args:
        world: gets the engines.
        writer: sends what is to be changed.
        used: called after the set of engines has changed, with the executions that are no longer followed.
    """

    def __init__(
        self,
        kube: Kube,
        world: World,
        writer: Writer,
        settings: Settings,
        metrics: Metrics,
        used: Callable[[list[tuple[ExecutionKey, Tracked]]], None],
    ) -> None:
        self._world = world
        self._metrics = metrics
        self._used = used

        def following(*arguments: Any, **options: Any) -> Mirror[StoredEngine]:
            self.store = Mirror[StoredEngine](*arguments, resync=settings.resync, **options)
            return self.store

        self._index = EngineIndex(
            kube, lambda _: self._note(), lambda: world.executions.is_defined(_DEFINITION), following
        )
        self._reconciler = EngineReconciler(kube, self._index, world, writer, settings, lambda: used([]))
        self._queue: Queue[str] = Queue()
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        metrics.watch_queue("engines", self._queue.__len__)

    @property
    def synced(self) -> bool:
        """Whether the world uses the described engines."""
        return self._ready.is_set()

    async def wait_synced(self) -> None:
        """Wait until the world uses the described engines."""
        await self._ready.wait()

    def enqueue(self) -> None:
        """Have the engines reconciled soon, once however often this is called."""
        self._queue.add(_ALL, _DELAY)

    async def follow(self) -> None:
        """Follow the descriptions until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._index.run())
            await self._index.wait_synced()
            while True:
                self._changed.clear()
                self._use()
                self._ready.set()
                await self._changed.wait()

    async def work(self) -> None:
        """Reconcile until cancelled."""
        self.enqueue()
        await work("engines", self._queue, lambda _: self._reconciler.reconcile(), self._metrics)

    def _note(self) -> None:
        self._changed.set()
        self.enqueue()

    def _use(self) -> None:
        engines = self._index.engines
        if engines == self._world.engines:
            return
        self._used(self._world.use(engines))
        described = sorted(set(self._index.names()) - set(self._index.resolution.rejected))
        logger.info("engines: %d, described in the cluster: %s", len(engines), ", ".join(described) or "none")
