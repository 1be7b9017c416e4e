"""The HTTPS server that the API server calls, and the plain one for probes and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from execution_options.api.decoding import UnreadableError
from execution_options.kube.client import ApiError
from execution_options.webhook import metrics, review

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from execution_options.webhook.handler import Handler
    from execution_options.webhook.objects import Objects

    Route = Callable[[web.Request], Awaitable[web.Response]]

logger = logging.getLogger(__name__)

MAX_BODY = 8 * 1024 * 1024
"""Bytes of one request: an object and its old version, each at most what etcd takes, and room to spare."""
LARGE = 1024 * 1024
"""Bytes from which on a body is read only while few others are: decoded, it takes several times as much memory."""
LARGE_AT_ONCE = 2
MAX_DRAINED = 4 * MAX_BODY
"""Bytes of a larger request that are read and dropped, so that it can be refused with a reason. The API server takes
objects of 3 MiB, of which six times as much can become when JSON escapes every character."""

UNREADABLE = "the operator cannot read or patch this object: {}"

_JSON = {"Content-Type": "application/json"}


class _TooLargeError(Exception):
    """A body is larger than any that the API server sends."""


async def _received(content: aiohttp.StreamReader) -> tuple[review.Request, str]:
    """The request that is read, and why its objects cannot be judged; empty where they can be.

    Raises:
        UnreadableError: it is none.
        _TooLargeError: nobody reads that much.
    """
    kept, size = bytearray(), 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > MAX_DRAINED:
            raise _TooLargeError(f"it is larger than {MAX_DRAINED} bytes")
        kept += chunk[: MAX_BODY - len(kept)]
    if size > MAX_BODY:
        return review.decode_head(bytes(kept)), f"with its old version it takes {size} bytes, at most {MAX_BODY} fit"
    return review.decode(bytes(kept))


def admission_app(handler: Handler, objects: Objects, stopping: Callable[[], bool] = lambda: False) -> web.Application:
    """The application: ``/executions`` changes executions, ``/objects`` checks what else users write.

    While it is stopping, each answer ends its connection.
    """

    large = asyncio.Semaphore(LARGE_AT_ONCE)

    def route(answer: Callable[[review.Request], Awaitable[bytes]], name: Callable[[review.Request], str]) -> Route:
        async def received(http: web.Request) -> web.Response:
            size = http.content_length
            async with large if size is None or size > LARGE else contextlib.nullcontext():
                return await answered(http)

        async def answered(http: web.Request) -> web.Response:
            began = time.perf_counter()
            try:
                request, problem = await _received(http.content)
            except (UnreadableError, _TooLargeError) as error:
                return web.Response(status=400, text=f"no AdmissionReview: {error}")
            whose = f"{request.kind.kind} {request.namespace}/{request.name or '(new)'}"
            try:
                body = review.refused(request.uid, UNREADABLE.format(problem)) if problem else await answer(request)
                result = "refused" if b'"allowed":false' in body else "changed" if b'"patch"' in body else "unchanged"
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                # An answer that is no AdmissionReview: the failure policy of the webhook's entry decides.
                logger.warning("%s: %r", whose, error)
                body, result = b"", "error"
            except Exception as error:
                # An object of an unforeseen shape must not pass for one that nothing is enforced on.
                logger.exception("%s", whose)
                problem = f"{type(error).__name__}: {error}"
                body, result = review.refused(request.uid, UNREADABLE.format(problem)), "refused"
            if problem:
                metrics.REFUSALS.labels(name(request), "Unreadable").inc()
                logger.warning("%s refused: %s", whose, problem)
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

        return received

    def engine(request: review.Request) -> str:
        # Whoever reaches the port chooses these words: only known ones become time series.
        found = handler.engine(request)
        return "other" if found is None else found.name

    app = web.Application()
    app.router.add_post("/executions", route(handler.answer, engine))
    app.router.add_post("/objects", route(objects.answer, lambda _: "none"))
    return app
