"""When a delivery is tried again, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 900.0
GIVE_UP: Final = 24 * 3600.0
"""Seconds after the first attempt from which there is no further one."""
LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds; a provider that asks for more is asked again all the same."""


def later(now: datetime, seconds: float) -> datetime:
    """``seconds`` after ``now``."""
    return now + timedelta(seconds=seconds)


def pause(attempts: int, chance: float, retry_after: float) -> float:
    """Seconds until the next attempt: doubled with every one, with jitter, and never less than was asked for.

    Args:
        attempts: how many there were, at least one.
        chance: from 0 to 1.
        retry_after: seconds that the provider asks for.
    """
    longest = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 30), LONGEST_PAUSE)
    asked = min(retry_after, LONGEST_RETRY_AFTER)
    # Those that were told the same time must not all come back at once either.
    return max(longest * (0.5 + chance / 2), asked * (1 + chance / 10))


def next_attempt(began: datetime, now: datetime, wait: float) -> datetime:
    """When to try again: after ``wait`` seconds, and once more just before giving up."""
    last = later(began, GIVE_UP)
    return max(now, min(later(now, wait), last))


def given_up(began: datetime, now: datetime) -> bool:
    """Whether an attempt that failed now was the last."""
    return now >= later(began, GIVE_UP)
