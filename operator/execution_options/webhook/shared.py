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

    Whoever asks while calls are under way starts another one, or, where ``at_once`` of them are, waits
    for it together with all who come in between: a call is never older than the question.
    """

    def __init__(self, function: Callable[[K], Awaitable[V]], at_once: int) -> None:
        self._function = function
        self._at_once = at_once
        self._running: dict[K, set[asyncio.Task[V]]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def call(self, key: K) -> V:
        """The result of a call that begins now or later; its errors reach all who share it."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._begin(key))
        # Who gives up waiting must not end the call of the others.
        return await asyncio.shield(task)

    async def _begin(self, key: K) -> V:
        while len(running := self._running.setdefault(key, set())) >= self._at_once:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        task = self._next.pop(key)
        running.add(task)
        try:
            return await self._function(key)
        finally:
            running.discard(task)
            if not running:
                self._running.pop(key, None)
