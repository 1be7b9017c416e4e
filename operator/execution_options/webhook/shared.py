"""One call for several callers that ask at the same time."""

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
    """Shares calls by key. Every caller gets the result of a call that began after it asked.

    A caller that cannot begin a call at once waits for the next one, together with all that come until then.

    Args:
        function: makes one call for a key.
        at_once: calls for one key at the same time.
        pause: shortest time between the beginnings of two calls for one key, in seconds.
        seconds: longest wait and call together; ``None``: unlimited.
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
        """Key → beginning of its last call, if that is less than ``pause`` seconds ago."""

    async def call(self, key: K) -> V:
        """The result of a call that begins now or later.

        Raises:
            TimeoutError: it took longer than ``seconds``.
            Exception: any error of the call; all callers that share the call get it.
        """
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
