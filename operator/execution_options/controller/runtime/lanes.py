"""Reconciles that wait for outside services, in parallel lanes: a slow service delays only its own lane."""

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
"""Most keys of one namespace in progress in all lanes together, so that its slow receivers leave connections and
memory for others."""


class Place(NamedTuple):
    """The lane of a key, and how many keys may be in progress in that lane."""

    lane: Hashable
    width: int


class _Lane(Generic[K]):
    def __init__(self) -> None:
        self.width = 1
        self.running = 0
        self.waiting: RoundRobin[K] = RoundRobin()


class Lanes(Generic[K]):
    """Reconciles keys like :func:`execution_options.controller.runtime.workers.work`, but in lanes made on demand.

    Namespaces take turns in each lane, and each has at most ``AT_ONCE_OF_ONE`` keys in progress in all lanes.

    Args:
        name: name of the queue, for logs and metrics.
        queue: the keys.
        place: gives the lane of a key.
        reconcile: may return the seconds after which the key is due again.
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
        """Lanes with room where every waiting key's namespace is at its limit."""
        self._ending = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def end(self) -> None:
        """Start nothing more, and wait for what is in progress."""
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
        """Start as many keys of a lane as it has room for."""
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
