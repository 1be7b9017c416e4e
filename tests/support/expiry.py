"""A way to the API server whose history is short: watches, and lists in the middle of their pages, are told 410."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from support.apiproxy import EXPIRED, FaultyProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = "1"
"""Objects of a page, so that lists are continued whenever there is something to list."""


class ExpiringProxy(FaultyProxy):
    """Everything passes until somebody says that what was known is too old; use as a context manager.

    Args:
        server: URL of the API server.
    """

    def __init__(self, server: str) -> None:
        super().__init__(server, seed=0)
        self._closed = False
        self._ended = asyncio.Event()
        self._expired: set[str] = set()

    @contextlib.contextmanager
    def expired(self) -> Iterator[None]:
        """Watches end with 410, new ones get it at once; afterwards lists do, once each, in their middle."""
        self._loop.call_soon_threadsafe(self._close)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._open)

    def _close(self) -> None:
        self._closed = True
        self._expired.clear()
        self._ended.set()
        self._ended = asyncio.Event()

    def _open(self) -> None:
        self._closed = False

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            if self._closed:
                # So an API server says it of a version that it has no more.
                self.faults["410 of a watch"] += 1
                return web.Response(body=EXPIRED, content_type="application/json")
            return await self._follow(request)
        query = dict(request.query)
        if "limit" in query:
            query["limit"] = _PAGE
        if "continue" in query and (self._closed or request.path not in self._expired):
            self._expired.add(request.path)
            self.faults["410 of a list"] += 1
            return self._status(410, "Expired")
        status, data = await self._carry_out(
            request.clone(rel_url=request.rel_url.with_query(query)), await request.read()
        )
        return web.Response(status=status, body=data, content_type="application/json")

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        ended: asyncio.Future[Any] = asyncio.ensure_future(self._ended.wait())
        whole = aiohttp.ClientTimeout(total=None)
        async with self._session.get(
            self._server + request.path_qs, headers=self._headers(request), timeout=whole
        ) as response:
            if response.status >= 400:
                return web.Response(status=response.status, body=await response.read())
            await answer.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._pass_until(ended, response, answer)
        return answer

    async def _pass_until(
        self, ended: asyncio.Future[Any], response: aiohttp.ClientResponse, answer: web.StreamResponse
    ) -> None:
        try:
            while True:
                line = asyncio.ensure_future(response.content.readline())
                await asyncio.wait((line, ended), return_when=asyncio.FIRST_COMPLETED)
                if not line.done():
                    line.cancel()
                    self.faults["expired"] += 1
                    await answer.write(EXPIRED)
                    return
                if not line.result():
                    return
                await answer.write(line.result())
        finally:
            ended.cancel()
