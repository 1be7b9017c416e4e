"""Fair scheduling: shares take turns, so that a share with many requests delays only itself.

A share here is a namespace. The order within a share stays.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

T = TypeVar("T")

LARGE_WORK: Final = 128 * 1024
"""Smallest size in bytes of objects that are processed in a thread, since that takes 20 ms or more."""


class RoundRobin(Generic[T]):
    """Waiting items by share. Shares are served in turn, each in its own order."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[T]] = {}
        """Waiting items by share, in the order of their turns."""
        self._size = 0

    def __len__(self) -> int:
        """Number of waiting items."""
        return self._size

    def __iter__(self) -> Iterator[T]:
        """All waiting items, share by share."""
        for waiting in self._waiting.values():
            yield from waiting

    def has(self, share: Hashable) -> bool:
        """Whether anything of a share waits."""
        return share in self._waiting

    def add(self, share: Hashable, item: T) -> None:
        """Add an item behind the others of its share."""
        self._waiting.setdefault(share, deque()).append(item)
        self._size += 1

    def take(self, may: Callable[[Hashable], bool] = lambda _: True) -> tuple[Hashable, T] | None:
        """Remove the next item of the next share for which ``may`` is true.

        Returns:
            The share and the item, or ``None`` if there is none.
        """
        share = next((share for share in self._waiting if may(share)), None)
        if share is None:
            return None
        waiting = self._waiting.pop(share)
        item = waiting.popleft()
        if waiting:
            self._waiting[share] = waiting  # behind all others
        self._size -= 1
        return share, item

    def drop_from_longest(self) -> tuple[Hashable, T] | None:
        """Remove the newest item of the share with the most.

        Returns:
            The share and the item, or ``None`` if nothing waits.
        """
        if not self._size:
            return None
        share = max(self._waiting, key=lambda one: len(self._waiting[one]))
        waiting = self._waiting[share]
        item = waiting.pop()
        if not waiting:
            del self._waiting[share]
        self._size -= 1
        return share, item


class BusyError(Exception):
    """A turn did not come in time, because others were served first."""


_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def wait_until(deadline: float) -> None:
    """Set a deadline for all waits of the current task at :class:`Turns` and :class:`Processor` from now on.

    Args:
        deadline: time of the event loop at which a wait ends with :class:`BusyError`.
    """
    _deadline.set(deadline)


async def _granted(future: asyncio.Future[None], seconds: float | None = None) -> None:
    """Wait until a turn is granted.

    Args:
        future: done once it is granted.
        seconds: longest wait; ``None`` for the task's deadline.

    Raises:
        BusyError: it was not granted in time.
    """
    until = _deadline.get()
    if seconds is not None:
        until = min(until, future.get_loop().time() + seconds)
    try:
        async with asyncio.timeout_at(None if until == math.inf else until):
            await future
    except TimeoutError:
        raise BusyError from None


class Turns:
    """Bounds how many tasks are in progress at once, in total and of one share; others wait.

    Args:
        total: most tasks at once.
        each: most tasks of one share at once.
        seconds: longest wait of one task; ``None`` for its deadline (:func:`wait_until`), if it has one.
    """

    def __init__(self, total: int, each: int, seconds: float | None = None) -> None:
        self._free = total
        self._each = each
        self._seconds = seconds
        self._taken: dict[Hashable, int] = {}
        self._waiting: RoundRobin[asyncio.Future[None]] = RoundRobin()

    def turn(self, share: Hashable) -> _Turn:
        """A context that waits for room, or raises :class:`BusyError`, and gives the room back at its end."""
        return _Turn(self, share)

    async def enter(self, share: Hashable) -> None:
        """Wait for room, and take it; call :meth:`leave` to give it back.

        Raises:
            BusyError: there was no room in time.
        """
        if self._free and self._may(share):
            self._enter(share)
        else:
            await self._wait(share)

    def _may(self, share: Hashable) -> bool:
        return self._taken.get(share, 0) < self._each

    def _enter(self, share: Hashable) -> None:
        self._free -= 1
        self._taken[share] = self._taken.get(share, 0) + 1

    async def _wait(self, share: Hashable) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(share, future)
        try:
            await _granted(future, self._seconds)
        except BaseException:
            if future.done() and not future.cancelled():
                self.leave(share)  # it was granted at the same moment
            raise

    def leave(self, share: Hashable) -> None:
        """Give back room that was taken."""
        self._free += 1
        left = self._taken.pop(share) - 1
        if left:
            self._taken[share] = left
        while self._waiting and self._free and (found := self._waiting.take(self._may)) is not None:
            if not found[1].done():
                self._enter(found[0])
                found[1].set_result(None)


class _Turn:
    """Room in :class:`Turns` for the duration of a block."""

    __slots__ = ("_share", "_turns")

    def __init__(self, turns: Turns, share: Hashable) -> None:
        self._turns = turns
        self._share = share

    async def __aenter__(self) -> None:
        await self._turns.enter(self._share)

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave(self._share)


class Processor:
    """Gives out the time of the event loop in turns, and lets the loop accept new requests between two of them.

    Without it, the loop would first do all the work that is ready, however much of that belongs to one share.
    """

    def __init__(self) -> None:
        self._holder: asyncio.Task[object] | None = None
        self._waiting: RoundRobin[tuple[asyncio.Future[None], asyncio.Task[object] | None]] = RoundRobin()
        self._large = Turns(1, 1)

    async def run(self, share: Hashable, size: int, work: Callable[[], T]) -> T:
        """Do ``work`` when it is the share's turn; work on large objects is done in a thread, one at a time.

        A thread takes no longer, and the loop runs meanwhile.

        Args:
            share: whose turn to wait for.
            size: bytes of the objects to work on.
            work: the work; it must not touch anything that the event loop changes.

        Raises:
            BusyError: the turn did not come before the task's deadline.
        """
        await self.turn(share)
        if size < LARGE_WORK:
            return work()
        async with self._large.turn(share):
            return await asyncio.to_thread(work)

    async def turn(self, share: Hashable) -> None:
        """Wait for the task's turn, which lasts until the task waits for something else.

        Raises:
            BusyError: the turn did not come before the task's deadline.
        """
        task = asyncio.current_task()
        if self._holder is task:
            return
        loop = asyncio.get_running_loop()
        if self._holder is None:
            self._holder = task
            loop.call_soon(self._next)
            return
        future = loop.create_future()
        self._waiting.add(share, (future, task))
        await _granted(future)

    def _next(self) -> None:
        self._holder = None
        while (found := self._waiting.take()) is not None:
            future, task = found[1]
            if not future.done():
                self._holder = task
                future.set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
