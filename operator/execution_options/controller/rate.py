"""A bound on how often something is done."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenBucket:
    """At most ``rate`` per second in the long run and ``burst`` at once.

    Args:
        rate: per second, above zero.
        burst: how many at once after a rest, at least one.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock()

    def reserve(self) -> float:
        """Take one and return the seconds to wait before it may be used."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1
        self._at = now
        return max(0.0, -self._tokens / self._rate)

    def is_full(self) -> bool:
        """Whether it is as new: nothing was taken for so long that it does not count any more."""
        return self._tokens + (self._clock() - self._at) * self._rate >= self._burst

    async def take(self) -> None:
        """Wait for one's turn."""
        pause = self.reserve()
        if pause > 0:
            await asyncio.sleep(pause)
