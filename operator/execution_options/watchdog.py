"""Whether a process makes progress: ``/healthz`` and the log name what has not for longer than its bound.

What counts is that something goes on, not that it succeeds. While the API server is away everything tries again and
again, and a process that began anew would not do better.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Self

from prometheus_client import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from prometheus_client import CollectorRegistry

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 0.1
"""Seconds between two beats of the event loop; shorter delays are not seen."""
SAMPLE_SECONDS: Final = 0.25
"""Seconds between two checks of the thread that finds what blocks the event loop."""
HELD_SECONDS: Final = 1.0
"""Seconds for which the event loop may be blocked before that is logged. A probe waits for some seconds, the Lease for
ten."""
WORK_SECONDS: Final = 120.0
"""Seconds that a step of a reconcile may take. A request to the API server ends after at most 30 s, and no other wait
is longer."""
FRAMES: Final = 15
"""Innermost frames of a stack that are logged."""

_working: ContextVar[Beat | None] = ContextVar("_working", default=None)


def advance() -> None:
    """Note that the work of this context makes progress: a step begins."""
    beat = _working.get()
    if beat is not None:
        beat.advance()


class Beat:
    """Something that has to advance again and again while its ``with`` block lasts.

    Args:
        watchdog: checks it.
        name: its name, for people.
        bound: seconds within which it must advance.
        about: the object that it is about. Only the log names it, because anybody in the network can read ``/healthz``.
    """

    __slots__ = ("_watchdog", "about", "at", "bound", "name")

    def __init__(self, watchdog: Watchdog, name: str, bound: float, about: str = "") -> None:
        self._watchdog = watchdog
        self.name = name
        self.about = about
        self.bound = bound
        self.at = time.monotonic()

    @property
    def shown(self) -> str:
        """Its name, and the object that it is about."""
        return f"{self.name} ({self.about})" if self.about else self.name

    def advance(self) -> None:
        """Note progress; callable from any thread."""
        self.at = time.monotonic()

    def __enter__(self) -> Self:
        self.advance()
        self._watchdog.beats.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.beats.discard(self)


class Watchdog:
    """Watches one event loop, and what runs in it and beside it.

    Args:
        registry: of the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.beats: set[Beat] = set()
        self._delay = Histogram(
            "execution_options_loop_delay_seconds",
            "How much later than asked for the event loop runs what is due.",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self._due = time.monotonic() + BEAT_SECONDS
        self._computed = time.process_time()
        self._logged: set[Beat] = set()

    def expect(self, name: str, bound: float) -> Beat:
        """Something that has to advance at least every ``bound`` seconds while its ``with`` block lasts."""
        return Beat(self, name, bound)

    @contextlib.contextmanager
    def working(self, name: str, about: str, bound: float = WORK_SECONDS) -> Iterator[None]:
        """Expect progress of this task within the block; :func:`advance` notes it.

        Args:
            name: name of the work, for people.
            about: the object that it is about.
            bound: seconds within which it must advance.
        """
        with Beat(self, name, bound, about) as beat:
            before = _working.set(beat)
            try:
                yield
            finally:
                _working.reset(before)

    def late(self) -> str:
        """What has not advanced in time, for people; empty if everything has."""
        now = time.monotonic()
        late = sorted((now - one.at, one.name, one.bound) for one in tuple(self.beats) if now - one.at > one.bound)
        return "; ".join(f"{name} has not advanced for {for_:.0f} s, at most {bound:.0f}" for for_, name, bound in late)

    async def run(self) -> None:
        """Measure the delay of the event loop, and log what does not advance, until cancelled."""
        ended = threading.Event()
        arguments = (threading.get_ident(), ended)
        self._due = time.monotonic() + BEAT_SECONDS
        threading.Thread(target=self._watch, args=arguments, name="watchdog", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(max(0.0, self._due - time.monotonic()))
                now = time.monotonic()
                delay, self._due = max(0.0, now - self._due), now + BEAT_SECONDS
                self._computed = time.process_time()
                self._delay.observe(delay)
                self._report()
        finally:
            ended.set()

    def _report(self) -> None:
        now = time.monotonic()
        late = {one for one in tuple(self.beats) if now - one.at > one.bound}
        for one in late - self._logged:
            logger.error("%s has not advanced for %.0f s: /healthz fails until it does", one.shown, now - one.at)
        for one in self._logged - late:
            logger.info("%s advances again, or has ended", one.shown)
        self._logged = late

    def _watch(self, thread: int, ended: threading.Event) -> None:
        """Log what blocks the event loop of a thread, once for each time, and for how long it did."""
        held, since, before = False, 0.0, 0.0
        while not ended.wait(SAMPLE_SECONDS):
            late = time.monotonic() - self._due
            if late > HELD_SECONDS and not held:
                held, since, before = True, self._due, self._computed
                frame = sys._current_frames().get(thread)
                stack = "" if frame is None else "".join(traceback.format_stack(frame, FRAMES))
                # A machine that is busy with others holds it, too, and nobody here can do anything about that.
                ours = time.process_time() - before >= HELD_SECONDS
                level = logging.WARNING if ours else logging.INFO
                logger.log(level, "the event loop is held for more than %.0f s, by\n%s", HELD_SECONDS, stack)
            elif late <= 0 and held:
                held = False
                seconds, computed = time.monotonic() - since, time.process_time() - before
                logger.info("the event loop was held for %.1f s, of which %.1f s computing", seconds, computed)
