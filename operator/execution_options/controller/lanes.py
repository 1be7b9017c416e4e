"""Work that waits for others, side by side: what is slow for one of them delays no other."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from execution_options.controller.work import attempt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from execution_options.controller.metrics import Metrics
    from execution_options.controller.queue import Queue

K = TypeVar("K", bound="Hashable")


class Place(NamedTuple):
    """Where a key is worked on: a lane, and how many are worked on in it at once."""

    lane: Hashable
    width: int


class _Lane(Generic[K]):
    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[K] = deque()


class Lanes(Generic[K]):
    """Reconciles keys like :func:`execution_options.controller.work.work`, but in lanes that come and go.

    Args:
        name: of the queue, for logs and metrics.
        queue: the keys.
        place: where a key belongs.
        reconcile: may return after how many seconds the key is due again.
        metrics: counts.
    """

    def __init__(
        self,
        name: str,
        queue: Queue[K],
        place: Callable[[K], Place],
        reconcile: Callable[[K], Awaitable[float | None]],
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._queue = queue
        self._place = place
        self._reconcile = reconcile
        self._metrics = metrics
        self._lanes: dict[Hashable, _Lane[K]] = {}
        self._ending = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def end(self) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._ending = True
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            ExceptionGroup: of :class:`~execution_options.controller.lease.LeaseLostError`.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                key = await self._queue.take()
                if self._ending:
                    continue
                place = self._place(key)
                lane = self._lanes.setdefault(place.lane, _Lane())
                lane.waiting.append(key)
                if lane.running < place.width:
                    lane.running += 1
                    self._idle.clear()
                    group.create_task(self._drain(place.lane, lane))

    async def _drain(self, name: Hashable, lane: _Lane[K]) -> None:
        while lane.waiting and not self._ending:
            await attempt(self._name, self._queue, lane.waiting.popleft(), self._reconcile, self._metrics)
        lane.running -= 1
        if not lane.running:
            del self._lanes[name]
        if not any(one.running for one in self._lanes.values()):
            self._idle.set()
