"""A queue of keys to reconcile: each key once, at its time, and again after a failure."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import random
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 60.0


class Queue(Generic[K]):
    """Keys and when each is due.

    A key waits at most once: adding it again can only bring it forward. A key that is added while it is
    worked on is handed out again afterwards, never to two workers at once. All methods belong to one event
    loop.

    Args:
        clock: monotonic seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._working: dict[K, float | None] = {}
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._due)

    def add(self, key: K, after: float = 0.0) -> None:
        """Have ``key`` reconciled in ``after`` seconds, or earlier where it waits already.

        One that failed waits out its pause: what fails may be what causes the change that adds it again.
        """
        due = self._clock() + after
        if key in self._working:
            again = self._working[key]
            self._working[key] = due if again is None else min(again, due)
        elif key not in self._failures and due < self._due.get(key, float("inf")):
            self._schedule(key, due)

    def _schedule(self, key: K, due: float) -> None:
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._changed.set()

    async def take(self) -> K:
        """The next key that is due; every key taken must be given back with ``done`` or ``failed``."""
        while True:
            pause = self._pause()
            if pause is not None and pause <= 0:
                _, _, key = heapq.heappop(self._heap)
                del self._due[key]
                self._working[key] = None
                return key
            self._changed.clear()
            # Before Python 3.12 wait_for() may pass over a cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    def _pause(self) -> float | None:
        """Seconds until the first key is due; ``None`` where none waits."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due:
                return due - self._clock()
            heapq.heappop(self._heap)  # it was brought forward
        return None

    def done(self, key: K) -> None:
        """``key`` was reconciled."""
        self._failures.pop(key, None)
        again = self._working.pop(key)
        if again is not None:
            self.add(key, again - self._clock())

    def failed(self, key: K) -> float:
        """``key`` could not be reconciled; it is due again after a growing pause, which is returned in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = min(FIRST_PAUSE * 2.0 ** min(failures, 16), LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
        del self._working[key]
        self._schedule(key, self._clock() + pause)
        return pause
