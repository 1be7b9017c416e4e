"""Progress of long work: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN_INTERVAL_SECONDS = 10.0
_TERMINAL_INTERVAL_SECONDS = 0.1


def format_elapsed(seconds: float) -> str:
    """Elapsed time as `8s` or `3m 05s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


class Progress:
    """Shows what is being done, how far it is, and how long it has taken.

    On a terminal one line is rewritten in place. Elsewhere (CI logs) a line is printed when the step changes and
    then at most every 10 seconds.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._begun = clock()
        self._step: str | None = None
        self._printed_at = 0.0
        self._width = 0

    def update(self, step: str, done: int | None = None, total: int | None = None) -> None:
        """Report the step being worked on and, where it can be counted, `done` of `total`."""
        now = self._clock()
        interval = _TERMINAL_INTERVAL_SECONDS if self._terminal else _PLAIN_INTERVAL_SECONDS
        if step == self._step and now - self._printed_at < interval:
            return
        self._step, self._printed_at = step, now
        count = "" if done is None else f" {done}" if total is None else f" {done}/{total}"
        self._print(f"{step}{count} ({format_elapsed(now - self._begun)})")

    def finish(self, message: str | None = None) -> None:
        """End the line in place and, if given, leave `message` with the total time."""
        if message is not None:
            self._print(f"{message} ({format_elapsed(self._clock() - self._begun)})")
        if self._terminal and self._width:
            self._stream.write("\n" if message is not None else f"\r{' ' * self._width}\r")
            self._stream.flush()
        self._width = 0
        self._step = None

    def _print(self, line: str) -> None:
        if self._terminal:
            self._stream.write(f"\r{line.ljust(self._width)}")
            self._width = len(line)
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()
