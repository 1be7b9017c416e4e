"""Waiting for a condition instead of sleeping for luck."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(
    check: Callable[..., T | Literal[False] | None],  # called without arguments; a default may bind a loop's variable
    *,
    timeout: float = 30.0,
    interval: float = 0.05,
    retry_on: tuple[type[BaseException], ...] = (AssertionError, LookupError),
) -> T:
    """Call `check` until it returns something true, and return that.

    Args:
        check: The condition. What it returns counts by its truth; an exception of `retry_on` means "not yet".
        timeout: Seconds until the test fails.
        interval: Seconds between two attempts.
        retry_on: Exceptions that mean "not yet"; by default those of a field that has not been written, too.

    Raises:
        AssertionError: It was not so in time; the last answer or exception is named.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        cause: BaseException | None = None
        try:
            answer = check()
            if answer:
                return answer
            last = answer
        except retry_on as error:
            last = cause = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"not so within {timeout:g} s; last: {last!r}") from cause
        time.sleep(interval)
