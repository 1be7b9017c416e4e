"""Rate limits that are fair between namespaces."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from execution_options.fairness import RoundRobin
from execution_options.watchdog import advance

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

SHARE: Final = 4
"""A namespace takes little while it uses at most one part in so many of the rate and of the burst."""
RESERVE_SECONDS: Final = 1.0
"""Seconds of waiting after which a busy namespace may use the reserve of those that take little."""
MAX_KNOWN: Final = 1000
"""Namespaces that are remembered before those that have not used the bucket for a while are forgotten."""
STEP_SECONDS: Final = 10.0
"""Seconds after which a waiting task reports to the watchdog that it still waits."""

LEAST: Final = 1.0
"""Lowest rate, per second, however often the API server refuses."""
REGAINED: Final = 0.05
"""Part of the highest rate that is regained in each second without a refusal."""


class _Tokens:
    """Tokens that grow with time, up to a burst."""

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
        """Take a token and return the seconds to wait before it may be used."""
        self._refill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def has_one(self) -> bool:
        """Whether a token can be used now."""
        return self._tokens + (self._clock() - self._at) * self._rate >= 1

    def is_full(self) -> bool:
        """Whether it has refilled completely, so that a new one would be the same."""
        return self._tokens + (self._clock() - self._at) * self._rate >= self._burst


class SharedBucket(_Tokens):
    """At most ``rate`` per second in the long run and ``burst`` at once, for all namespaces together.

    Half of the burst is reserved for namespaces that take little, so that they need not wait for a busy one. The busy
    one still gets the full rate, since it may use every token beyond that half. Waiting namespaces take turns.

    Args:
        rate: per second, above zero.
        burst: how many at once after a rest, at least one.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(rate, burst, clock)
        self._kept = burst // 2
        self._little: dict[Hashable, TokenBucket] = {}
        """For each recent namespace, the tokens it may use while it still counts as taking little."""
        self._waiting: RoundRobin[asyncio.Future[None]] = RoundRobin()
        self._since: dict[Hashable, float] = {}
        """When each waiting namespace began to wait, or was last served."""
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, share: Hashable) -> None:
        """Wait for a token."""
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
        """How many tokens there must be for the share to get one."""
        if self._takes_little(share):
            return 1.0
        waited = self._clock() - self._since.get(share, self._clock())
        return 1.0 + self._kept * max(0.0, 1.0 - waited / RESERVE_SECONDS)

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
        """Serve everyone whose turn it is, and schedule the next call."""
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
            pause = min(max(missing / self._rate, 0.001), RESERVE_SECONDS / 10)
            self._timer = asyncio.get_running_loop().call_later(pause, self._next)


class Pace(SharedBucket):
    """A rate that halves when the API server is overloaded, and grows back slowly.

    Args:
        most: highest rate per second, above zero; also how many at once after a rest.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(most, max(1, int(most)), clock)
        self._most = most
        self._slowed = clock() - 1

    @property
    def rate(self) -> float:
        """The present rate per second."""
        return self._rate

    def accepted(self) -> None:
        """A request was carried out."""
        self._rate = min(self._most, self._rate + REGAINED * self._most / self._rate)

    def refused(self, pause: float = 0.0) -> None:
        """A request was refused for overload, or timed out; the next waits at least ``pause`` seconds.

        Requests in progress at the same time are refused together, which counts once.
        """
        now = self._clock()
        if now - self._slowed >= 1:
            self._slowed = now
            self._rate = max(min(LEAST, self._most), self._rate / 2)
        self._refill()
        self._tokens = min(self._tokens, -pause * self._rate)
