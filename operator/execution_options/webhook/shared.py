"""One call for many that ask at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

K = TypeVar("K")
V = TypeVar("V")


class SharedCalls(Generic[K, V]):
    """Shares calls by key, such that everyone gets the result of a call that began after they asked.

    Whoever asks while a call is under way waits for the next one, which begins when that has ended and
    serves all who came in between: a call is never older than the question.
    """

    def __init__(self, function: Callable[[K], Awaitable[V]]) -> None:
        self._function = function
        self._running: dict[K, asyncio.Task[V]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def call(self, key: K) -> V:
        """The result of a call that begins now or later; its errors reach all who share it."""
        task = self._next.get(key)
        if task is None:
            task = asyncio.create_task(self._after(key, self._running.get(key)))
            self._next[key] = task
        # Who gives up waiting must not end the call of the others.
        return await asyncio.shield(task)

    async def _after(self, key: K, before: asyncio.Task[V] | None) -> V:
        if before is not None:
            await asyncio.wait([before])
        task = self._next.pop(key)
        self._running[key] = task
        try:
            return await self._function(key)
        finally:
            if self._running.get(key) is task:
                del self._running[key]
