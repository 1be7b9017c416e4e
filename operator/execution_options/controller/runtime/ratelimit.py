"""A bound on how often something is done."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from execution_options.fairness import RoundRobin
from execution_options.watchdog import advance

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

SHARE: Final = 4
"""The part of the rate and of the burst up to which a namespace counts as one that takes little: one in so many."""
PATIENCE: Final = 1.0
"""Seconds after which a namespace is served even if others that take little have left nothing but what is kept."""
MAX_KNOWN: Final = 1000
STEP_SECONDS: Final = 10.0
"""After which whoever waits for a turn is seen to wait for it."""

LEAST: Final = 1.0
"""Per second, however often the API server refuses."""
REGAINED: Final = 0.05
"""Of the highest rate, in each second in which nothing is refused."""


class _Tokens:
    """What may be taken at once: it grows with time, up to a burst."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock()

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class TokenBucket(_Tokens):
    """At most ``rate`` per second in the long run and ``burst`` at once.

    Args:
        rate: per second, above zero.
        burst: how many at once after a rest, at least one.
        clock: monotonic seconds, for tests.
    """

    def reserve(self) -> float:
        """Take one and return the seconds to wait before it may be used."""
        self._refill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def has_one(self) -> bool:
        """Whether one can be used now."""
        return self._tokens + (self._clock() - self._at) * self._rate >= 1

    def is_full(self) -> bool:
        """Whether it is as new: nothing was taken for so long that it does not count any more."""
        return self._tokens + (self._clock() - self._at) * self._rate >= self._burst


class SharedBucket(_Tokens):
    """At most ``rate`` per second in the long run and ``burst`` at once, of all namespaces together.

    Half of the burst is kept for namespaces that take little: they need not wait for one that takes all there is. That
    one goes on at the full rate, since what comes in beyond the half is its. Whoever waits is served by turns.

    Args:
        rate: per second, above zero.
        burst: how many at once after a rest, at least one.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(rate, burst, clock)
        self._kept = burst // 2
        self._little: dict[Hashable, TokenBucket] = {}
        """What each namespace that took something of late may still take as one that takes little."""
        self._waiting: RoundRobin[asyncio.Future[None]] = RoundRobin()
        self._since: dict[Hashable, float] = {}
        """When each that waits began to, or was served last."""
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, share: Hashable) -> None:
        """Wait for one's turn."""
        self._refill()
        if share not in self._since and self._needed(share) <= self._tokens:
            self._serve(share)
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(share, future)
        self._since.setdefault(share, self._clock())
        if self._timer is None:
            self._next()
        try:
            while not future.done():
                await asyncio.wait([future], timeout=STEP_SECONDS)
                advance()
        finally:
            future.cancel()

    def _takes_little(self, share: Hashable) -> bool:
        known = self._little.get(share)
        return known is None or known.has_one()

    def _needed(self, share: Hashable) -> float:
        """How many there must be so that one of them is for the share."""
        if self._takes_little(share):
            return 1.0
        waited = self._clock() - self._since.get(share, self._clock())
        return 1.0 + self._kept * max(0.0, 1.0 - waited / PATIENCE)

    def _serve(self, share: Hashable) -> None:
        self._tokens -= 1
        known = self._little.get(share)
        if known is None:
            if len(self._little) >= MAX_KNOWN:
                self._little = {name: bucket for name, bucket in self._little.items() if not bucket.is_full()}
            size = max(1, self._burst // SHARE)
            known = self._little[share] = TokenBucket(self._rate / SHARE, size, self._clock)
        if known.has_one():
            known.reserve()

    def _next(self) -> None:
        """Serve whose turn it is, and come back when it can be the next one's."""
        self._timer = None
        self._refill()
        while (found := self._waiting.take(lambda share: self._needed(share) <= self._tokens)) is not None:
            share, future = found
            if not future.done():
                self._serve(share)
                future.set_result(None)
            if self._waiting.has(share):
                self._since[share] = self._clock()
            else:
                del self._since[share]
        if self._waiting:
            missing = min(self._needed(share) for share in self._since) - self._tokens
            pause = min(max(missing / self._rate, 0.001), PATIENCE / 10)
            self._timer = asyncio.get_running_loop().call_later(pause, self._next)


class Pace(SharedBucket):
    """A rate that halves where the API server has too much to do, and grows again little by little.

    Args:
        most: per second, above zero; also how many at once after a rest.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(most, max(1, int(most)), clock)
        self._most = most
        self._slowed = clock() - 1

    @property
    def rate(self) -> float:
        """Per second, as it is now."""
        return self._rate

    def accepted(self) -> None:
        """One was carried out."""
        self._rate = min(self._most, self._rate + REGAINED * self._most / self._rate)

    def refused(self, pause: float = 0.0) -> None:
        """One was refused for there being too many, or took too long; none is to follow for ``pause`` seconds.

        Those that were under way together are refused together: that counts once.
        """
        now = self._clock()
        if now - self._slowed >= 1:
            self._slowed = now
            self._rate = max(min(LEAST, self._most), self._rate / 2)
        self._refill()
        self._tokens = min(self._tokens, -pause * self._rate)
