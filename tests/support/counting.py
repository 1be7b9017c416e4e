"""A proxy before the API server that writes down what it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.apiproxy import FaultyProxy

if TYPE_CHECKING:
    from aiohttp import web


class CountingProxy(FaultyProxy):
    """Forwards plain HTTP on loopback to an API server; use as a context manager.

    Args:
        server: URL of the API server.
    """

    def __init__(self, server: str) -> None:
        super().__init__(server, seed=0)
        self.requests: list[str] = []
        """Method and path of each, in order."""

    def _fault(self, name: str, probability: float) -> bool:
        return False

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        return await super()._handle(request)
