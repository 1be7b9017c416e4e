"""Probes and metrics over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


def health_app(late: Callable[[], str], missing: Callable[[], str], registry: CollectorRegistry) -> web.Application:
    """``/healthz`` (200 while everything makes progress), ``/readyz`` (200 once nothing is missing) and ``/metrics``.

    Args:
        late: returns what has not advanced in time, for people; empty if everything has. That does not include the
            event loop: no request is answered while it is blocked.
        missing: returns what the process still waits for, for people; empty if it is ready.
        registry: the metrics.
    """

    async def healthz(_: web.Request) -> web.Response:
        reason = late()
        return web.Response(status=503 if reason else 200, text=reason or "ok")

    async def readyz(_: web.Request) -> web.Response:
        reason = missing()
        return web.Response(status=503 if reason else 200, text=reason or "ok")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app
