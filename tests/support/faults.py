"""A way to the API server on which somebody ends at an exact moment: before a request arrives, or after it has."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
from aiohttp import web

from support.serving import HOST, Threaded

if TYPE_CHECKING:
    from collections.abc import Callable

_HOP = {"transfer-encoding", "connection", "content-length", "content-encoding", "date", "server"}


@dataclass(frozen=True)
class Request:
    """What is asked of the API server."""

    method: str
    path: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Fault:
    """What happens once, at the first request that fits."""

    fits: Callable[[Request], bool]
    when: Literal["before", "after"]
    happens: Callable[[], None]
    late: float | None = None
    """Seconds after which the request arrives all the same, whoever waits for its answer; ``None``: never."""
    arrives: Callable[[], None] = lambda: None
    """Called before it does."""


class FaultyWay(Threaded):
    """Forwards to an API server over plain HTTP.

    Args:
        server: URL of the API server.
        ca: its authority, in PEM.
    """

    def __init__(self, server: str, ca: str) -> None:
        super().__init__()
        self._server = server
        self._tls = ssl.create_default_context(cadata=ca)
        self.fault: Fault | None = None
        self.counts: dict[str, int] = {}
        """Requests by method, watches apart."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0), auto_decompress=False
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        request = Request(http.method, http.path, await http.read())
        fault = self.fault if self.fault is not None and self.fault.fits(request) else None
        if fault is not None:
            self.fault = None
            if fault.when == "before":
                fault.happens()
                await asyncio.sleep(3600 if fault.late is None else fault.late)
                fault.arrives()
                fault = None
        headers = {name: value for name, value in http.headers.items() if name.lower() not in (*_HOP, "host")}
        if http.query.get("watch") not in ("true", "1"):
            self.counts[http.method] = self.counts.get(http.method, 0) + 1
        try:
            async with self._session.request(
                http.method,
                self._server + http.path_qs,
                headers=headers,
                data=request.body or None,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as answer:
                passed = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
                if fault is not None:
                    await answer.read()
                    fault.happens()
                    await asyncio.sleep(3600)
                response = web.StreamResponse(status=answer.status, headers=passed)
                await response.prepare(http)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, ConnectionError):
            if http.transport is not None:
                http.transport.abort()  # as it would be without anybody in between
            return web.Response(status=502)
