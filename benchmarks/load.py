"""A closed-loop load generator.

It costs little beside what it measures: one request, encoded once, is sent over connections that stay open.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from types import TracebackType

CLIENTS = 8


class Sample(Struct, frozen=True):
    """What one round measured."""

    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Latency in seconds that ``percent`` of the requests stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Endpoint(Struct, frozen=True):
    """Where requests go."""

    host: str
    port: int
    tls: ssl.SSLContext

    def request(self, path: str, body: bytes) -> bytes:
        """A POST of JSON, ready to be sent."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class UnexpectedAnswerError(Exception):
    """A request was not answered as the benchmark needs it."""


class Connection:
    """A connection that stays open; use as an async context manager."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __aenter__(self) -> Connection:
        endpoint = self._endpoint
        self._reader, self._writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=endpoint.tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.transport.abort()

    async def exchange(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer.

        Raises:
            UnexpectedAnswerError: it is no success.
        """
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, found, length = head.partition(b"content-length:")
        body = await self._reader.readexactly(int(length.split(b"\r\n", 1)[0])) if found else await self._chunks()
        if head[9:10] != b"2":
            raise UnexpectedAnswerError(f"{head[9:12].decode()}: {body.decode(errors='replace')[:500]}")
        return body

    async def _chunks(self) -> bytes:
        chunks = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(chunks)


async def measure(endpoint: Endpoint, request: bytes, *, seconds: float, clients: int = CLIENTS) -> Sample:
    """Send ``request`` again and again from each of ``clients``, each waiting for its answers."""
    latencies: list[float] = []
    began = [0.0]

    async def client(connection: Connection) -> None:
        while (sent := time.perf_counter()) < began[0] + seconds:
            await connection.exchange(request)
            latencies.append(time.perf_counter() - sent)

    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(Connection(endpoint)) for _ in range(clients)]
        await asyncio.gather(*(connection.exchange(request) for connection in connections))  # TLS, caches
        began[0] = time.perf_counter()
        await asyncio.gather(*(client(connection) for connection in connections))
        return Sample(time.perf_counter() - began[0], latencies)
