"""A proxy before the API server that fails as networks and busy API servers do, and worse."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from types import TracebackType

PASSED_ON = ("Authorization", "Accept", "Content-Type")
EXPIRED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired","message":"old"}}\n'
)


class FaultyProxy:
    """Forwards plain HTTP on loopback to an API server; use as a context manager.

    Requests for pods fail, or are carried out and yet not answered; events of their watches get lost, come late, come
    twice, and watches break or expire. Everything else passes, so that the lease does not change hands all the time.

    Args:
        server: URL of the API server.
        seed: of the faults.
    """

    def __init__(self, server: str, seed: int) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()
        self.faults: Counter[str] = Counter()
        """How often what was done."""
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # also ends what is left of connections
            runner.run(self._serve())

    async def _serve(self) -> None:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=tls, limit=200)
        async with aiohttp.ClientSession(connector=connector, read_bufsize=2**21) as session:
            self._session = session
            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
            await asyncio.gather(*self._later, return_exceptions=True)
            await runner.cleanup()
        await asyncio.sleep(0.25)

    def _fault(self, name: str, probability: float) -> bool:
        if self._random.random() >= probability:
            return False
        self.faults[name] += 1
        return True

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        pods = "/pods" in request.path
        if request.query.get("watch") == "true":
            return await self._watch(request, pods=pods)
        if pods and self._fault("429", 0.1):
            return self._status(429, "TooManyRequests")
        if pods and self._fault("500 before", 0.05):
            return self._status(500, "InternalError")
        await asyncio.sleep(self._random.uniform(0, 0.05))
        body = await request.read()
        if pods and request.method == "PATCH" and self._fault("carried out later", 0.05):
            self._later.add(asyncio.create_task(self._carry_out_later(request, body)))
            return self._status(504, "Timeout")
        status, data = await self._carry_out(request, body)
        if pods and request.method == "PATCH":
            if self._fault("500 after", 0.1):
                return self._status(500, "InternalError")
            if self._fault("no answer", 0.1):
                assert request.transport is not None
                request.transport.abort()
        return web.Response(status=status, body=data, content_type="application/json")

    async def _carry_out(self, request: web.Request, body: bytes) -> tuple[int, bytes]:
        async with self._session.request(
            request.method, self._server + request.path_qs, headers=self._headers(request), data=body or None
        ) as response:
            return response.status, await response.read()

    async def _carry_out_later(self, request: web.Request, body: bytes) -> None:
        await asyncio.sleep(self._random.uniform(0.2, 1))
        await self._carry_out(request, body)

    async def _watch(self, request: web.Request, *, pods: bool) -> web.StreamResponse:
        if pods and self._fault("410", 0.1):
            return self._status(410, "Expired")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        seen: list[bytes] = []
        async with self._session.get(
            self._server + request.path_qs, headers=self._headers(request), timeout=aiohttp.ClientTimeout(total=None)
        ) as response:
            await answer.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                async for line in response.content:
                    await self._pass_on(answer, line, seen if pods else None)
                    if pods and self._fault("expired", 0.01):
                        await answer.write(EXPIRED)
                        break
                    if pods and self._fault("broken", 0.02):
                        break
        return answer

    async def _pass_on(self, answer: web.StreamResponse, line: bytes, seen: list[bytes] | None) -> None:
        if seen is None:
            await answer.write(line)
            return
        seen.append(line)
        if self._fault("dropped", 0.05):
            return
        if self._fault("late", 0.2):
            await asyncio.sleep(self._random.uniform(0, 0.2))
        await answer.write(line)
        if self._fault("repeated", 0.1):
            await answer.write(self._random.choice(seen))

    @staticmethod
    def _headers(request: web.Request) -> dict[str, str]:
        return {name: request.headers[name] for name in PASSED_ON if name in request.headers}

    @staticmethod
    def _status(code: int, reason: str) -> web.Response:
        return web.json_response(
            {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": "as told"}, status=code
        )
