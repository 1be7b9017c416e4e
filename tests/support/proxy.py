"""An HTTP proxy: CONNECT for https, and whole URLs for http."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.serving import HOST, Threaded

if TYPE_CHECKING:
    from collections.abc import Mapping


class Proxy(Threaded):
    """Connects to whatever it is asked for.

    Args:
        stands_for: ports on loopback by host, for hosts that only the proxy knows.
        authorization: value of ``Proxy-Authorization`` that it wants.
        says: its answer to everything, instead of connecting.
    """

    def __init__(self, stands_for: Mapping[str, int] | None = None, *, authorization: str = "", says: str = "") -> None:
        super().__init__()
        self._stands_for = stands_for or {}
        self._authorization = authorization
        self._says = says
        self.asked: list[str] = []
        """The first line of every request, without the version."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled at the end of a test.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.partition("\r\n")[0].split(" ")
            self.asked.append(f"{method} {target}")
            refusal = self._says
            if self._authorization and f"proxy-authorization: {self._authorization}".lower() not in head.lower():
                refusal = "407 Proxy Authentication Required"
            if refusal:
                writer.write(f"HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
            else:
                await self._tunnel(method, target, head, reader, writer)
        writer.close()

    async def _tunnel(
        self, method: str, target: str, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host = url.hostname or ""
        known = self._stands_for.get(host)
        there, back = await asyncio.open_connection(*((host, url.port or 80) if known is None else (HOST, known)))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            lines = [line for line in head.split("\r\n") if not line.lower().startswith("proxy-")]
            back.write("\r\n".join(lines).replace(target, path, 1).encode())
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
