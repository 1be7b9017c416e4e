"""A port that is open to the network, with bounds on the number of connections and on the time that each may take.

Anybody who reaches the port can open connections and leave them idle, and each costs memory. At the bound, the address
with the most waiting connections loses the one that has waited longest. So requests of an API server get through.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from asyncio import sslproto
from collections import Counter
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

logger = logging.getLogger(__name__)

MOST: Final = 1024
"""Most connections at a time. Each API server sends at most as many requests at once as it accepts mutating requests,
200 by default, and each takes a connection."""
READ_SECONDS: Final = 10.0
"""Seconds for a handshake with the first request of a connection, and for the body of any request."""
IDLE_SECONDS: Final = 100.0
"""Seconds for which a connection is kept without a request. Go's client closes idle connections after 90 s and must do
so first, because a request fails on a connection that is being closed."""
SWEEP_SECONDS: Final = 1.0
"""Seconds between two searches for connections that have waited too long."""
BACKLOG: Final = 1024
TLS_BUFFER: Final = 32 * 1024
"""Bytes that asyncio reads at once from a TLS connection, and the size of the buffer that it keeps for each. The
default is 256 KiB, although a TLS record has at most 16 KiB."""


class _Connection:
    """One connection, from the moment it is accepted.

    Attributes:
        address: address of the peer.
        protocol: aiohttp's protocol; it has a transport from the end of the handshake to the end of the connection.
        since: when it began to wait for a handshake, a request, or the rest of one (seconds of the event loop).
        bound: seconds for which it may wait.
        busy: whether a request is being answered, which nothing interrupts.
    """

    __slots__ = ("address", "bound", "busy", "protocol", "since", "task")

    def __init__(self, address: str, protocol: web.RequestHandler, since: float) -> None:
        self.address = address
        self.protocol = protocol
        self.since = since
        self.bound = READ_SECONDS
        self.busy = False
        self.task: asyncio.Task[None]

    @property
    def closed(self) -> bool:
        return self.task.done() and self.protocol.transport is None

    def close(self) -> None:
        self.task.cancel()
        if isinstance(transport := self.protocol.transport, asyncio.Transport):
            transport.abort()


class Port:
    """A port that serves one application.

    Args:
        app: the application.
        tls: context for TLS; ``None``: plain HTTP.
        shutdown_seconds: seconds for requests in progress when the port is closed.
        most: most connections at a time.
    """

    def __init__(
        self, app: web.Application, tls: ssl.SSLContext | None = None, shutdown_seconds: float = 60.0, most: int = MOST
    ) -> None:
        # The API server sends plain JSON. A compressed body could expand to any size.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_seconds, auto_decompress=False)
        self._tls = tls
        self._most = most
        self._connections: dict[web.RequestHandler, _Connection] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: socket.socket | None = None
        app.middlewares.append(self._working)

    def __len__(self) -> int:
        """Number of connections."""
        self._forget_closed()
        return len(self._connections)

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the number of the port.

        Args:
            host: address to listen on; empty for all.
            port: number of the port; 0 takes any free one.

        Raises:
            OSError: the address cannot be used.
        """
        if self._tls is not None:
            sslproto.SSLProtocol.max_size = TLS_BUFFER
        dual = not host and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=dual)
        self._socket.setblocking(False)
        await self._runner.setup()
        self._tasks += [
            asyncio.create_task(self._accept(self._socket, cast("web.Server", self._runner.server))),
            asyncio.create_task(self._sweep()),
        ]
        return int(self._socket.getsockname()[1])

    async def close(self) -> None:
        """Accept no more connections, and wait for requests in progress."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        await self._runner.cleanup()
        for connection in self._connections.values():
            connection.close()
        await asyncio.gather(*(one.task for one in self._connections.values()), return_exceptions=True)

    @web.middleware
    async def _working(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep the connection open from the end of a request's body until the request is answered."""
        now = asyncio.get_running_loop().time
        connection = self._connections[request.protocol]

        def complete() -> None:
            connection.busy = True

        connection.since, connection.bound = now(), READ_SECONDS
        request.content.on_eof(complete)
        try:
            return await handler(request)
        finally:
            connection.busy = False
            connection.since, connection.bound = now(), IDLE_SECONDS

    async def _accept(self, listening: socket.socket, server: Callable[[], web.RequestHandler]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                # The process may have run out of file descriptors until connections end.
                logger.warning("no connection can be accepted: %s", error)
                await asyncio.sleep(SWEEP_SECONDS)
                continue
            if len(self._connections) >= self._most and not self._make_room():
                accepted.close()
                continue
            protocol = server()
            connection = self._connections[protocol] = _Connection(str(address[0]), protocol, loop.time())
            connection.task = asyncio.create_task(self._admit(accepted, connection))

    async def _admit(self, accepted: socket.socket, connection: _Connection) -> None:
        """Make the TLS handshake, and hand the connection to the application."""
        loop = asyncio.get_running_loop()
        limit = READ_SECONDS if self._tls is not None else None
        try:
            await loop.connect_accepted_socket(
                lambda: connection.protocol, accepted, ssl=self._tls, ssl_handshake_timeout=limit
            )
        except OSError as error:
            logger.debug("%s: no handshake: %s", connection.address, error)

    def _make_room(self) -> bool:
        """Close the longest waiting connection of the address with the most; whether there was one."""
        self._forget_closed()
        if len(self._connections) < self._most:
            return True
        waiting = [one for one in self._connections.values() if not one.busy]
        if not waiting:
            return False
        counts = Counter(one.address for one in waiting)
        victim = max(waiting, key=lambda one: (counts[one.address], -one.since))
        victim.close()
        del self._connections[victim.protocol]
        return True

    def _forget_closed(self) -> None:
        self._connections = {protocol: one for protocol, one in self._connections.items() if not one.closed}

    async def _sweep(self) -> None:
        """Close connections that have waited too long."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._forget_closed()
            now = asyncio.get_running_loop().time()
            for one in self._connections.values():
                if not one.busy and now - one.since > one.bound:
                    one.close()
