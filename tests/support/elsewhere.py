"""A machine whose loopback is not the API server's, although the API server's port is on it: as with kind or k3d.

It is a network namespace of this machine (Linux), into which the one port is brought through a Unix socket.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import yaml

from support.commands import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_INTO = ("unshare", "--user", "--map-root-user", "--net")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def run_elsewhere(*arguments: str, kubeconfig: Path, folder: Path) -> Answer:
    """Run ``execution-options`` on such a machine."""
    if sys.platform != "linux" or subprocess.run([*_INTO, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a network namespace of its own")
    port = _port(kubeconfig)
    socket = folder / "api"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with _served(socket, port):
        command = [*_INTO, sys.executable, __file__, str(socket), str(port), *arguments]
        command += ["--kubeconfig", str(kubeconfig)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=100)
    return Answer(done.returncode, done.stdout, done.stderr)


def _port(kubeconfig: Path) -> int:
    (cluster,) = yaml.safe_load(kubeconfig.read_text())["clusters"]
    port: int | None = urlsplit(cluster["cluster"]["server"]).port
    assert port is not None
    return port


@contextmanager
def _served(socket: Path, port: int) -> Iterator[None]:
    """Bring a port of this machine to a socket."""
    loop = asyncio.new_event_loop()

    async def serve() -> asyncio.Server:
        return await asyncio.start_unix_server(_to(lambda: asyncio.open_connection("127.0.0.1", port)), socket)

    server = loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        loop.close()


def _to(
    connect: Callable[[], Awaitable[Streams]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await connect()
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    return relay


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(2**16):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.close()


async def _there(socket: str, port: int, arguments: list[str]) -> int:
    """In the namespace, bring the socket to the port, and run the command."""
    relay = _to(lambda: asyncio.open_unix_connection(socket))
    async with await asyncio.start_server(relay, "127.0.0.1", port):
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "execution_options", *arguments)
        return await process.wait()


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sys.exit(asyncio.run(_there(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))
