"""One call for many that ask at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from execution_options.kube.waiting import result_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAUSE_SECONDS: Final = 0.005
"""Shortest time between the beginnings of two reads of the same thing. A read costs us and the API server more than the
decision that needs it, so under load several requests share one; without load nobody waits."""

K = TypeVar("K")
V = TypeVar("V")


class SharedCalls(Generic[K, V]):
    """Shares calls by key, such that everyone gets the result of a call that began after they asked.

    Whoever asks while calls are under way starts another one, or, where ``at_once`` of them are or the last one
    began less than ``pause`` seconds ago, waits for it together with all who come in between: a call is never
    older than the question. Nobody waits longer than ``seconds``; ``TimeoutError`` then.
    """

    def __init__(
        self, function: Callable[[K], Awaitable[V]], at_once: int = 1, pause: float = 0.0, seconds: float | None = None
    ) -> None:
        self._function = function
        self._at_once = at_once
        self._pause = pause
        self._seconds = seconds
        self._running: dict[K, set[asyncio.Task[V]]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}
        self._began: dict[K, float] = {}
        """When the last call of a key began, while that is less than ``pause`` ago."""

    async def call(self, key: K) -> V:
        """The result of a call that begins now or later; its errors reach all who share it."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._begin(key))
        return await result_of(task)

    async def _begin(self, key: K) -> V:
        async with asyncio.timeout(self._seconds):
            try:
                await self._turn(key)
            finally:
                task = self._next.pop(key)
            running = self._running.setdefault(key, set())
            running.add(task)
            try:
                return await self._function(key)
            finally:
                running.discard(task)
                if not running:
                    self._running.pop(key, None)

    async def _turn(self, key: K) -> None:
        """Wait until another call may begin."""
        loop = asyncio.get_running_loop()
        if key in self._began:
            await asyncio.sleep(self._began[key] + self._pause - loop.time())
        while len(running := self._running.get(key, ())) >= self._at_once:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        now = loop.time()
        recent = {other: began for other, began in self._began.items() if began + self._pause > now}
        self._began = recent | ({key: now} if self._pause else {})
