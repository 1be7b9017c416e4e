"""A queue of keys to reconcile: each key once, at its time, and again after a failure."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from execution_options.fairness import RoundRobin

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K", bound=Hashable)

FIRST_PAUSE: Final = 0.2
"""Longest pause after a first failure, in seconds."""
LONGEST_PAUSE: Final = 60.0
"""Longest pause, in seconds."""


def namespace_of(key: Hashable) -> Hashable:
    """The namespace of a key, by which keys take turns; empty for keys without one."""
    return getattr(key, "namespace", key[0]) if isinstance(key, tuple) else ""


def backoff(failures: int, longest: float = LONGEST_PAUSE) -> float:
    """Seconds to wait after so many failures in a row: twice as long each time up to ``longest``, with jitter."""
    return min(FIRST_PAUSE * 2.0 ** min(failures - 1, 16), longest) * random.uniform(0.5, 1.0)  # noqa: S311


class Queue(Generic[K]):
    """Keys and when each is due.

    A key waits at most once: adding it again can only bring it forward. A key that is added while it is in progress is
    handed out again afterwards, never to two workers at once. Namespaces take turns, and keys of one namespace come
    in the order in which they became due. All methods belong to one event loop.

    Args:
        clock: monotonic seconds, for tests.
        each: most keys of one namespace in progress; fewer than there are workers, so that one is free for others.
            ``None``: any number.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, each: int | None = None) -> None:
        self._clock = clock
        self._each = each
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        """Keys that are not due yet, by time; entries that no longer agree with ``_due`` are ignored."""
        self._ready: RoundRobin[K] = RoundRobin()
        """Keys that are due."""
        self._order = itertools.count()
        self._working: dict[K, float | None] = {}
        self._at_work: Counter[Hashable] = Counter()
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._due)

    def add(self, key: K, after: float = 0.0) -> None:
        """Have ``key`` reconciled in ``after`` seconds, or earlier if it waits already.

        A key that failed waits out its pause: a failing reconcile may itself cause the change that adds the key again.
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
            found = self._ready.take(self._may)
            if found is not None:
                share, key = found
                del self._due[key]
                self._working[key] = None
                self._at_work[share] += 1
                return key
            self._changed.clear()
            # Before Python 3.12 wait_for() may pass over a cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    def _may(self, share: Hashable) -> bool:
        return self._each is None or self._at_work[share] < self._each

    def _pause(self) -> float | None:
        """Move keys that are due to ``_ready``; seconds until the next is due, ``None`` if none waits."""
        now = self._clock()
        while self._heap:
            due, _, key = self._heap[0]
            # Otherwise it was brought forward or taken since.
            if self._due.get(key) == due:
                if due > now:
                    return due - now
                self._ready.add(namespace_of(key), key)
                self._due[key] = -math.inf  # nothing can bring it forward now
            heapq.heappop(self._heap)
        return None

    def done(self, key: K) -> None:
        """``key`` was reconciled."""
        self._failures.pop(key, None)
        again = self._working.pop(key)
        self._leave(key)
        if again is not None:
            self.add(key, again - self._clock())

    def failed(self, key: K) -> float:
        """``key`` could not be reconciled; it is due again after a growing pause, which is returned in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = backoff(failures)
        del self._working[key]
        self._leave(key)
        self._schedule(key, self._clock() + pause)
        return pause

    def _leave(self, key: K) -> None:
        share = namespace_of(key)
        self._at_work[share] -= 1
        if not self._at_work[share]:
            del self._at_work[share]
        if self._ready:
            self._changed.set()
