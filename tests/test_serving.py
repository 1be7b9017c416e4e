"""Whatever strangers do with their connections to a port, their number is bounded and requests are answered."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from execution_options import serving
from execution_options.serving import Port
from support.serving import Certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

MOST = 8


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs of a moment."""
    monkeypatch.setattr(serving, "READ_SECONDS", 0.3)
    monkeypatch.setattr(serving, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(serving, "SWEEP_SECONDS", 0.05)


class Served:
    """A port whose requests wait until they may go on."""

    def __init__(self, tls: Certificate | None) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        app = web.Application()
        app.router.add_post("/", self._answer)
        self.tls = None if tls is None else ssl.create_default_context(cadata=tls.ca)
        if self.tls is not None:
            self.tls.check_hostname = False
        self.port = Port(app, None if tls is None else tls.context, 1.0, MOST)
        self.number = 0

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.begun += 1
        await self.go_on.wait()
        return web.Response(body=body)

    async def connect(self, *, handshake: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = self.tls if handshake else None
        return await asyncio.open_connection("127.0.0.1", self.number, ssl=tls)

    async def ask(self) -> str:
        """One request on a connection of its own."""
        scheme = "http" if self.tls is None else "https"
        connector = aiohttp.TCPConnector(ssl=self.tls or True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"{scheme}://127.0.0.1:{self.number}/", data=b"hello") as response,
        ):
            return await response.text()


@pytest.fixture(params=["plain", "tls"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(Certificate(tmp_path) if request.param == "tls" else None)
    served.number = await served.port.open("127.0.0.1", 0)
    yield served
    served.go_on.set()
    await served.port.close()


@asynccontextmanager
async def strangers(served: Served, count: int, send: bytes = b"") -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections that are opened, and say that much."""
    opened = [await served.connect() for _ in range(count)]
    for _, writer in opened:
        writer.write(send)
    yield [reader for reader, _ in opened]
    for _, writer in opened:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def closed(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            await reader.read()


async def test_a_request_is_answered_and_its_connection_ends_with_the_client(served: Served) -> None:
    assert await served.ask() == "hello"
    await until(lambda: len(served.port) == 0)


@pytest.mark.parametrize(
    "send", [b"", b"POST / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n12"]
)
async def test_connections_without_a_whole_request_make_room_for_one(
    served: Served, send: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "READ_SECONDS", 60.0)
    async with strangers(served, MOST, send) as readers:
        await until(lambda: len(served.port) == MOST)
        assert await served.ask() == "hello"
        assert len(served.port) <= MOST
        # The one that had waited longest.
        await closed(readers[0])


@pytest.mark.parametrize(
    "send", [b"", b"POST / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n12"]
)
async def test_a_request_that_does_not_come_in_time_ends_its_connection(served: Served, send: bytes) -> None:
    async with strangers(served, 2, send) as readers:
        for reader in readers:
            await closed(reader)
        await until(lambda: len(served.port) == 0)


async def test_a_connection_without_a_handshake_ends(served: Served) -> None:
    reader, writer = await served.connect(handshake=False)
    await closed(reader)
    writer.close()
    await until(lambda: len(served.port) == 0)


async def test_a_connection_is_kept_for_the_next_request_and_not_for_ever(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await served.connect()
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        assert await reader.readuntil(b"\r\n\r\nhi")
    await closed(reader)
    writer.close()


async def test_requests_that_are_answered_are_never_interrupted(served: Served) -> None:
    served.go_on.clear()
    asked = [asyncio.create_task(served.ask()) for _ in range(MOST)]
    await until(lambda: served.begun == MOST)
    # There is no room for anybody else, whatever the time-outs.
    with pytest.raises((ConnectionError, aiohttp.ClientError)):
        await served.ask()
    await asyncio.sleep(0.5)
    served.go_on.set()
    assert await asyncio.gather(*asked) == ["hello"] * MOST
    assert await served.ask() == "hello"


async def test_a_body_is_read_as_it_was_sent(served: Served) -> None:
    reader, writer = await served.connect()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
    writer.write(head + b"none")
    assert await reader.readuntil(b"\r\n\r\nnone")
    writer.close()


async def test_all_addresses_are_served_unless_one_is_named() -> None:
    served = Served(None)
    served.number = await served.port.open("", 0)
    assert await served.ask() == "hello"
    await served.port.close()
