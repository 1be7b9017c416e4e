"""What a Service does for a webhook of several replicas: new connections go to those that are ready."""

from __future__ import annotations

import itertools
import socket
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Replica = tuple[int, int]
"""Port for requests, port for probes."""

_PROBE_SECONDS = 0.1


class Balancer:
    """Connections that are open stay where they are, whether or not that is ready."""

    def __init__(self, replicas: list[Replica]) -> None:
        self.ready: list[int] = []
        self._replicas = replicas
        self._turn = itertools.count()
        self._ended = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def add(self, replica: Replica) -> None:
        """One more, once it is ready."""
        self._replicas = [*self._replicas, replica]

    def start(self) -> None:
        """Accept connections and look who is ready."""
        self._spawn(self._probe)
        self._spawn(self._accept)

    def stop(self) -> None:
        """Close all connections."""
        self._ended.set()
        for one in (self._server, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._server, *self._open):
            one.close()

    def _spawn(self, function: object, *arguments: object) -> None:
        assert callable(function)
        thread = threading.Thread(target=function, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _probe(self) -> None:
        while not self._ended.wait(_PROBE_SECONDS):
            self.ready = [port for port, probes in self._replicas if _is_ready(probes)]

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(OSError):
                client, _ = self._server.accept()
                self._open.add(client)
                ready = self.ready
                if not ready:
                    client.shutdown(socket.SHUT_RDWR)
                    continue
                replica = socket.create_connection(("127.0.0.1", ready[next(self._turn) % len(ready)]))
                self._open.add(replica)
                self._spawn(_copy, client, replica)
                self._spawn(_copy, replica, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        return False


@contextmanager
def balanced(replicas: list[Replica]) -> Iterator[Balancer]:
    """A balancer for as long as the block."""
    balancer = Balancer(replicas)
    balancer.start()
    try:
        yield balancer
    finally:
        balancer.stop()
