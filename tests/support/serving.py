"""Servers on loopback in a thread of their own, so that tests and other processes can reach them alike."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from typing import TYPE_CHECKING, TypeVar

from execution_options.cluster.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

T = TypeVar("T")
HOST = "127.0.0.1"


class Threaded:
    """An event loop in a thread; use as a context manager. ``open`` and ``close`` run in it."""

    port: int

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    async def open(self) -> None:
        """Begin to listen."""
        raise NotImplementedError

    async def close(self) -> None:
        """End."""
        raise NotImplementedError

    def within(self, what: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that runs in the thread."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        self.within(self.open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.within(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)

    async def _end(self) -> None:
        await self.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for transport in list(self.loop._transports.values()):  # type: ignore[attr-defined]
            transport.abort()
        for _ in range(5):  # transports end in steps
            await asyncio.sleep(0)


class Certificate:
    """An authority of one's own, and what a server on loopback shows; ``ca`` is PEM."""

    def __init__(self, folder: Path) -> None:
        Authority(folder).issue_serving("server", ipaddress.IPv4Address("10.0.0.1"))
        self.ca = (folder / "ca.crt").read_text()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(folder / "server.crt", folder / "server.key")
