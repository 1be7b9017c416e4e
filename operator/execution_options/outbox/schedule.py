"""When a delivery is retried, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

FIRST_PAUSE: Final = 2.0
"""Longest pause after the first attempt, in seconds. It doubles with each further attempt."""
LONGEST_PAUSE: Final = 900.0
"""Longest pause after any attempt, in seconds."""
GIVE_UP: Final = 24 * 3600.0
"""Seconds after the first attempt during which a delivery is retried."""
LONGEST_RETRY_AFTER: Final = 3600.0
"""Longest pause that a provider can ask for, in seconds."""


def later(now: datetime, seconds: float) -> datetime:
    """The time ``seconds`` after ``now``."""
    return now + timedelta(seconds=seconds)


def pause(attempts: int, chance: float, retry_after: float) -> float:
    """Seconds until the next attempt. They double with each attempt, have jitter, and are never less than asked for.

    Args:
        attempts: number of attempts so far, at least one.
        chance: random number from 0 to 1, for the jitter.
        retry_after: seconds that the provider asks for; 0 for none.
    """
    longest = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 30), LONGEST_PAUSE)
    asked = min(retry_after, LONGEST_RETRY_AFTER)
    # Deliveries with the same Retry-After must not all return at once.
    return max(longest * (0.5 + chance / 2), asked * (1 + chance / 10))


def next_attempt(began: datetime, now: datetime, wait: float) -> datetime:
    """When to try again: after a pause, but at the latest once more when the time is up.

    Args:
        began: time of the first attempt.
        now: the current time.
        wait: the pause in seconds.
    """
    last = later(began, GIVE_UP)
    return max(now, min(later(now, wait), last))


def given_up(began: datetime, now: datetime) -> bool:
    """Whether an attempt that fails now is the last.

    Args:
        began: time of the first attempt.
        now: the current time.
    """
    return now >= later(began, GIVE_UP)
