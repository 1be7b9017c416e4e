"""A proxy before the API server that is away, or lets nothing pass of some requests while their connections stay."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from support.apiproxy import FaultyProxy

if TYPE_CHECKING:
    from collections.abc import Iterator


class FreezingProxy(FaultyProxy):
    """Forwards everything unless told otherwise; use as a context manager.

    Args:
        server: URL of the API server.
    """

    def __init__(self, server: str) -> None:
        super().__init__(server, seed=0)
        self._frozen = ""
        self._away = False
        self._transports: set[asyncio.BaseTransport] = set()

    @contextlib.contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """Nothing comes meanwhile of requests whose path has this part."""
        self._frozen = part
        try:
            yield
        finally:
            self._frozen = ""

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Every connection is cut meanwhile."""
        self._away = True
        self._loop.call_soon_threadsafe(self._cut)
        try:
            yield
        finally:
            self._away = False

    def _cut(self) -> None:
        for transport in self._transports:
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._transports.add(request.transport)
        try:
            if self._away:
                self._cut()
            return await self._forward(request)
        finally:
            self._transports.discard(request.transport)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        await self._hold(request)
        if request.query.get("watch") != "true":
            status, data = await self._carry_out(request, await request.read())
            return web.Response(status=status, body=data, content_type="application/json")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        unbounded = aiohttp.ClientTimeout(total=None)
        url, headers = self._server + request.path_qs, self._headers(request)
        async with self._session.get(url, headers=headers, timeout=unbounded) as response:
            answer.set_status(response.status)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await answer.prepare(request)
                async for line in response.content:
                    await self._hold(request)
                    await answer.write(line)
        return answer

    async def _hold(self, request: web.Request) -> None:
        while self._frozen and self._frozen in request.path:  # noqa: ASYNC110 - it is set from another thread
            await asyncio.sleep(0.05)
