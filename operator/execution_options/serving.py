"""Listening on a port that strangers reach: how many connections there may be, and how long each may take.

Whoever reaches the port can open connections and leave them idle, and each costs memory. So their number is bounded.
Where it is reached, the connection that has waited longest without a request makes room, of the address that has most
of them: an API server's requests get through whatever others do.
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
"""Connections at a time. Each API server has as many requests under way as it takes mutating ones, 200 by default, and
each takes a connection."""
READ_SECONDS: Final = 10.0
"""How long a handshake and the first request of a connection may take, and how long the body of any request."""
IDLE_SECONDS: Final = 100.0
"""How long a connection is kept without a request. Go's client closes its own after 90 s, and must be first: a request
on a connection that is being closed fails."""
SWEEP_SECONDS: Final = 1.0
BACKLOG: Final = 1024
TLS_BUFFER: Final = 32 * 1024
"""Bytes that asyncio reads at once from a TLS connection. It keeps that much for each, 256 KiB by default, although a
TLS record has 16 KiB at most."""


class _Connection:
    """One connection, from the moment it is accepted.

    Attributes:
        address: of the peer.
        protocol: aiohttp's; it has a transport from the end of the handshake to the end of the connection.
        since: when it began to wait for a handshake, a request, or the rest of one (seconds of the event loop).
        patience: seconds for which it may.
        busy: whether a request is being answered, which nothing interrupts.
    """

    __slots__ = ("address", "busy", "patience", "protocol", "since", "task")

    def __init__(self, address: str, protocol: web.RequestHandler, since: float) -> None:
        self.address = address
        self.protocol = protocol
        self.since = since
        self.patience = READ_SECONDS
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
        shutdown_seconds: how long requests under way may take when the port is closed.
        most: connections at a time.
    """

    def __init__(
        self, app: web.Application, tls: ssl.SSLContext | None = None, shutdown_seconds: float = 60.0, most: int = MOST
    ) -> None:
        # Bodies are JSON as the API server sends it. What is compressed could become any size.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_seconds, auto_decompress=False)
        self._tls = tls
        self._most = most
        self._connections: dict[web.RequestHandler, _Connection] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: socket.socket | None = None
        app.middlewares.append(self._working)

    def __len__(self) -> int:
        """How many connections there are."""
        self._forget_closed()
        return len(self._connections)

    async def open(self, host: str, port: int) -> int:
        """Listen; the number of the port.

        Args:
            host: address to listen on; empty for all.
            port: its number; 0 is any free one.

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
        """Accept nothing more, and wait for requests under way."""
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
        """Keep the connection while its request is answered, from the end of the body on."""
        now = asyncio.get_running_loop().time
        connection = self._connections[request.protocol]

        def complete() -> None:
            connection.busy = True

        connection.since, connection.patience = now(), READ_SECONDS
        request.content.on_eof(complete)
        try:
            return await handler(request)
        finally:
            connection.busy = False
            connection.since, connection.patience = now(), IDLE_SECONDS

    async def _accept(self, listening: socket.socket, server: Callable[[], web.RequestHandler]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                # The process may have no file descriptors left, until connections end.
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
        """Shake hands, and leave the connection to the application."""
        loop = asyncio.get_running_loop()
        limit = READ_SECONDS if self._tls is not None else None
        try:
            await loop.connect_accepted_socket(
                lambda: connection.protocol, accepted, ssl=self._tls, ssl_handshake_timeout=limit
            )
        except OSError as error:
            logger.debug("%s: no handshake: %s", connection.address, error)

    def _make_room(self) -> bool:
        """Close the connection that has waited longest, of the address that has most; whether there was one."""
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
        """Close what has waited too long."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._forget_closed()
            now = asyncio.get_running_loop().time()
            for one in self._connections.values():
                if not one.busy and now - one.since > one.patience:
                    one.close()
