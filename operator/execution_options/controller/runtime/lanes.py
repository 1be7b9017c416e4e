"""Work that waits for others, side by side: what is slow for one of them delays no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from execution_options.controller.runtime.queue import namespace_of
from execution_options.controller.runtime.workers import attempt
from execution_options.fairness import RoundRobin
from execution_options.watchdog import WORK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from execution_options.controller.runtime.metrics import Metrics
    from execution_options.controller.runtime.queue import Queue

K = TypeVar("K", bound=Hashable)


AT_ONCE_OF_ONE: Final = 48
"""Keys of one namespace that are worked on at the same time, in all lanes: connections and memory that its slow
receivers hold others do not lack."""


class Place(NamedTuple):
    """Where a key is worked on: a lane, and how many are worked on in it at once."""

    lane: Hashable
    width: int


class _Lane(Generic[K]):
    def __init__(self) -> None:
        self.width = 1
        self.running = 0
        self.waiting: RoundRobin[K] = RoundRobin()


class Lanes(Generic[K]):
    """Reconciles keys like :func:`execution_options.controller.runtime.workers.work`, but in lanes that come and go.

    Namespaces take turns in each lane, and none has more than its room in all of them together.

    Args:
        name: of the queue, for logs and metrics.
        queue: the keys.
        place: where a key belongs.
        reconcile: may return after how many seconds the key is due again.
        metrics: counts.
        step: seconds that a step of a reconcile may take.
    """

    def __init__(
        self,
        name: str,
        queue: Queue[K],
        place: Callable[[K], Place],
        reconcile: Callable[[K], Awaitable[float | None]],
        metrics: Metrics,
        step: float = WORK_SECONDS,
    ) -> None:
        self._name = name
        self._queue = queue
        self._place = place
        self._reconcile = reconcile
        self._metrics = metrics
        self._step = step
        self._lanes: dict[Hashable, _Lane[K]] = {}
        self._at_work: Counter[Hashable] = Counter()
        self._blocked: dict[Hashable, _Lane[K]] = {}
        """Lanes where others could be worked on, if only their namespaces had room."""
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
            ExceptionGroup: of :class:`~execution_options.controller.runtime.lease.LeaseLostError`.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                key = await self._queue.take()
                if self._ending:
                    continue
                place = self._place(key)
                lane = self._lanes.setdefault(place.lane, _Lane())
                lane.width = place.width
                lane.waiting.add(namespace_of(key), key)
                self._start(place.lane, lane, group)

    def _may(self, share: Hashable) -> bool:
        return self._at_work[share] < AT_ONCE_OF_ONE

    def _start(self, name: Hashable, lane: _Lane[K], group: asyncio.TaskGroup) -> None:
        """Work on as much of a lane as there is room for."""
        while not self._ending and lane.running < lane.width and (found := lane.waiting.take(self._may)) is not None:
            lane.running += 1
            self._at_work[found[0]] += 1
            self._idle.clear()
            group.create_task(self._work(name, lane, *found, group))
        if lane.waiting and lane.running < lane.width:
            self._blocked[name] = lane

    async def _work(self, name: Hashable, lane: _Lane[K], share: Hashable, key: K, group: asyncio.TaskGroup) -> None:
        await attempt(self._name, self._queue, key, self._reconcile, self._metrics, self._step)
        lane.running -= 1
        had_no_room = not self._may(share)
        self._at_work[share] -= 1
        if not self._at_work[share]:
            del self._at_work[share]
        for blocked in list(self._blocked) if had_no_room else ():
            self._start(blocked, self._blocked.pop(blocked), group)
        self._start(name, lane, group)
        if not lane.running and not lane.waiting:
            self._lanes.pop(name, None)
        if not self._at_work:
            self._idle.set()
