"""Slack, PagerDuty and webhook receivers that speak the services' own protocols, errors included."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from support.serving import HOST, Threaded

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Whose names are compared without regard to case."""
    body: bytes
    query: Mapping[str, str]
    raw_path: str
    """The path as it was sent, percent-encoded."""
    at: float
    """Seconds of the thread's clock (``time.monotonic``)."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Says:
    """An answer to be given instead of the usual one."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """How long it takes."""
    reset: bool = False
    """The connection is reset instead of an answer."""


HANGS = Says(seconds=3600)
RESETS = Says(reset=True)


class Service(Threaded):
    """A server that remembers what it was sent; ``answers`` are given first, one to each request, then the usual one.

    ``always`` replaces the usual answer for good.
    """

    scheme = "http"

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._tls = tls
        self.received: list[Received] = []
        self.answers: deque[Says] = deque()
        self.always: Says | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://{'localhost' if self._tls else HOST}:{self.port}"

    def usual(self, request: Received) -> Says:
        """What the service says to a request."""
        return Says()

    def of(self, path: str) -> list[Received]:
        """The requests to one path."""
        return [request for request in self.received if request.path == path]

    async def open(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0, ssl_context=self._tls).start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        request = Received(
            http.method,
            http.path,
            http.headers.copy(),
            await http.read(),
            dict(http.query),
            http.raw_path.partition("?")[0],
            self.loop.time(),
        )
        self.received.append(request)
        says = self.answers.popleft() if self.answers else self.always or self.usual(request)
        if says.seconds:
            await asyncio.sleep(says.seconds)
        if says.reset:
            assert http.transport is not None
            http.transport.abort()
        return web.Response(status=says.status, text=says.body, headers=says.headers)


class WebhookReceiver(Service):
    """Takes whatever it is sent, with 204."""

    def usual(self, request: Received) -> Says:
        return Says(204)


class PagerDuty(Service):
    """Events API v2: 202 for a valid event with a known key, 400 otherwise; see ``incidents``."""

    def __init__(self, *keys: str, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self._keys = keys
        self.incidents: dict[tuple[str, str], str] = {}
        """What became of each routing key and dedup key: ``triggered`` or ``resolved``."""

    @property
    def enqueue(self) -> str:
        return f"{self.url}/v2/enqueue"

    def usual(self, request: Received) -> Says:
        event = request.json
        problems = [name for name in ("routing_key", "event_action") if not event.get(name)]
        if event.get("event_action") == "trigger":
            payload = event.get("payload", {})
            problems += [f"payload.{name}" for name in ("summary", "source", "severity") if not payload.get(name)]
            if payload.get("severity") not in ("critical", "error", "warning", "info"):
                problems.append("payload.severity")
            if len(payload.get("summary", "")) > 1024:
                problems.append("payload.summary")
        elif not event.get("dedup_key"):
            problems.append("dedup_key")
        if len(event.get("dedup_key", "")) > 255:
            problems.append("dedup_key")
        if event.get("routing_key") not in self._keys:
            problems.append(f"routing_key {event.get('routing_key')} is not known")
        if problems:
            answer = {"status": "invalid event", "message": "Event object is invalid", "errors": problems}
            return Says(400, json.dumps(answer))
        key = (event["routing_key"], event["dedup_key"])
        if event["event_action"] == "trigger":
            self.incidents[key] = "triggered"
        elif key in self.incidents:
            self.incidents[key] = "resolved"
        return Says(
            202,
            json.dumps({"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}),
        )


class Slack(Service):
    """The Web API for one bot token, and incoming webhooks under ``/services/``."""

    def __init__(self, token: str = "", tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self._token = token
        self.channels = {"#dev-alerts", "C024BE91L", "U01"}
        self.users = {"dev@example.com": "U01"}
        self.posted: list[Any] = []

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def usual(self, request: Received) -> Says:
        if request.path.startswith("/services/"):
            if not request.json.get("text"):
                return Says(400, "no_text")
            self.posted.append(request.json)
            return Says(200, "ok")
        return Says(200, json.dumps(self._answer(request)), {"content-type": "application/json"})

    def _answer(self, request: Received) -> dict[str, Any]:
        if request.headers.get("authorization") != f"Bearer {self._token}":
            return {"ok": False, "error": "invalid_auth"}
        if request.path == "/api/users.lookupByEmail":
            user = self.users.get(request.query.get("email", ""))
            return {"ok": True, "user": {"id": user}} if user else {"ok": False, "error": "users_not_found"}
        if request.path != "/api/chat.postMessage":
            return {"ok": False, "error": "unknown_method"}
        message = request.json
        if message.get("channel") not in self.channels:
            return {"ok": False, "error": "channel_not_found"}
        if not message.get("text") and not message.get("blocks"):
            return {"ok": False, "error": "no_text"}
        self.posted.append(message)
        return {"ok": True, "channel": message["channel"], "ts": f"{1700000000 + len(self.posted)}.000100"}
