"""The HTTPS server that the API server calls, and the plain one for probes and metrics."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from aiohttp import web

from execution_options.kube.client import ApiError
from execution_options.webhook import metrics, objects, review

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from execution_options.webhook.handler import Handler

    Route = Callable[[web.Request], Awaitable[web.Response]]

logger = logging.getLogger(__name__)

MAX_BODY = 8 * 1024 * 1024
"""Bytes of one request: an object and its old version, each at most what etcd takes, and room to spare."""

_JSON = {"Content-Type": "application/json"}


def admission_app(handler: Handler, stopping: Callable[[], bool] = lambda: False) -> web.Application:
    """The application: ``/executions`` changes executions, ``/objects`` checks objects of our own kinds.

    While it is stopping, each answer ends its connection.
    """

    def route(answer: Callable[[review.Request], Awaitable[bytes]], name: Callable[[review.Request], str]) -> Route:
        async def answered(http: web.Request) -> web.Response:
            began = time.perf_counter()
            try:
                request = review.decode(await http.read())
            except (msgspec.MsgspecError, UnicodeError) as error:
                return web.Response(status=400, text=f"no AdmissionReview: {error}")
            try:
                body = await answer(request)
                result = "refused" if b'"allowed":false' in body else "changed" if b'"patch"' in body else "unchanged"
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError) as error:
                # An answer that is no AdmissionReview: the failure policy of the webhook's entry decides.
                logger.warning("%s %s/%s: %r", request.kind.kind, request.namespace, request.name or "(new)", error)
                body, result = b"", "error"
            except Exception:
                logger.exception("%s %s/%s", request.kind.kind, request.namespace, request.name or "(new)")
                body, result = b"", "error"
            operation = request.operation if request.operation in ("CREATE", "UPDATE") else "other"
            metrics.ADMISSIONS.labels(name(request), operation, result).inc()
            metrics.SECONDS.observe(time.perf_counter() - began)
            if result == "error":
                response = web.Response(status=503, text="the options cannot be read at the moment")
            else:
                response = web.Response(body=body, headers=_JSON)
            if stopping():
                response.force_close()
            return response

        return answered

    def engine(request: review.Request) -> str:
        # Whoever reaches the port chooses these words: only known ones become time series.
        found = handler.engine(request)
        return "other" if found is None else found.name

    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/executions", route(handler.answer, engine))
    app.router.add_post("/objects", route(objects.answer, lambda _: "none"))
    return app
