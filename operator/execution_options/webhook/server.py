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
from execution_options.fairness import BusyError, Processor, Turns, wait_until
from execution_options.kube.client import REQUEST_ERRORS
from execution_options.webhook import metrics, review

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from execution_options.webhook.handler import Handler
    from execution_options.webhook.objects import Objects

    Route = Callable[[web.Request], Awaitable[web.Response]]

logger = logging.getLogger(__name__)

MAX_BODY = 8 * 1024 * 1024
"""Largest request in bytes: an object and its old version, each as large as etcd allows, and some reserve."""
LARGE = 1024 * 1024
"""Size in bytes of a large body. Few of them are read at the same time: decoded, they take several times the memory."""
LARGE_AT_ONCE = 2
MAX_DRAINED = 4 * MAX_BODY
"""Largest request in bytes that is refused with a reason. Its rest is read and dropped. The API server accepts objects
of 3 MiB, which become six times as large if JSON escapes every character."""

AT_ONCE = 160
AT_ONCE_OF_ONE = 64
"""Requests that are decided on at the same time, in total and of one namespace. Most of the time they wait for the API
server, to which there are few connections."""
WAIT_SECONDS = 3.5
"""Longest wait of a request until its decision begins."""
LARGE_SECONDS = 1.0
"""Longest wait of a large body, before that, until it is read."""
BUSY_SECONDS = 4.5
"""A request that still waits for a turn this long after its arrival is refused. The shortest time-out of the webhook's
entries is 5 s."""

BUSY = (
    "namespace {} has so many requests under way that this one would have waited too long for the operator; try again"
)
UNREADABLE = "the operator cannot read or patch this object: {}"

_JSON = {"Content-Type": "application/json"}


class _TooLargeError(Exception):
    """A body is larger than any body of the API server."""


async def _rest(first: bytes, content: aiohttp.StreamReader) -> tuple[bytes, int]:
    """Read the rest of a body.

    Args:
        first: its first bytes.
        content: has the others.

    Returns:
        The body, at most its first :data:`MAX_BODY` bytes, and its size.

    Raises:
        _TooLargeError: it is larger than :data:`MAX_DRAINED`.
    """
    if content.at_eof():
        return first, len(first)
    kept, size = bytearray(first), len(first)
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > MAX_DRAINED:
            raise _TooLargeError(f"it is larger than {MAX_DRAINED} bytes")
        kept += chunk[: MAX_BODY - len(kept)]
    return bytes(kept), size


def _decoded(body: bytes, size: int) -> tuple[review.Request, str]:
    """Decode a body.

    Args:
        body: its first bytes; all of them if it is not too large.
        size: of the whole body.

    Returns:
        The request, and why its objects cannot be decoded; empty if they can.

    Raises:
        UnreadableError: it has no request.
    """
    if size > MAX_BODY:
        return review.decode_head(body), f"with its old version it takes {size} bytes, at most {MAX_BODY} fit"
    return review.decode(body)


def admission_app(
    handler: Handler,
    objects: Objects,
    stopping: Callable[[], bool] = lambda: False,
    processor: Processor | None = None,
) -> web.Application:
    """The application: ``/executions`` changes executions, ``/objects`` checks other objects that users write.

    Namespaces take turns at large bodies, at decisions and at the event loop, so none of them can have it all.

    Args:
        handler: answers requests for executions.
        objects: answers all others.
        stopping: whether each answer closes its connection.
        processor: turns at the event loop. The handlers have the same one.
    """
    large = Turns(LARGE_AT_ONCE, LARGE_AT_ONCE - 1, LARGE_SECONDS)
    room = Turns(AT_ONCE, AT_ONCE_OF_ONE, WAIT_SECONDS)
    time_of = processor or Processor()

    def route(
        answer: Callable[[review.Request], Awaitable[review.Answer]], name: Callable[[review.Request], str]
    ) -> Route:
        async def received(http: web.Request) -> web.Response:
            began = time.perf_counter()
            wait_until(asyncio.get_running_loop().time() + BUSY_SECONDS)
            size = http.content_length
            first = await http.content.readany()
            namespace = review.namespace_of(first)
            try:
                async with large.turn(namespace) if size is None or size > LARGE else contextlib.nullcontext():
                    body = await _rest(first, http.content)
                    async with room.turn(namespace):
                        await time_of.turn(namespace)
                        return await answered(*_decoded(*body), began)
            except (UnreadableError, _TooLargeError) as error:
                return web.Response(status=400, text=f"no AdmissionReview: {error}")
            except BusyError:
                return refused_busy(first)

        def refused_busy(first: bytes) -> web.Response:
            try:
                request = review.decode_head(first)
            except UnreadableError as error:
                return web.Response(status=429, text=f"busy, and no AdmissionReview: {error}")
            problem = BUSY.format(request.namespace or "(none)")
            metrics.REFUSALS.labels(name(request), "TooManyRequests").inc()
            logger.warning("%s %s: %s", request.kind.kind, request.name or "(new)", problem)
            refusal = review.refused(request.uid, problem, 429, "TooManyRequests")
            return web.Response(body=refusal.body, headers=_JSON)

        async def answered(request: review.Request, problem: str, began: float) -> web.Response:
            whose = f"{request.kind.kind} {request.namespace}/{request.name or '(new)'}"
            try:
                found = review.refused(request.uid, UNREADABLE.format(problem)) if problem else await answer(request)
            except BusyError:
                raise
            except REQUEST_ERRORS as error:
                # A response that is not an AdmissionReview: the failure policy of the webhook's entry decides.
                logger.warning("%s: %r", whose, error)
                found = None
            except Exception as error:
                # An object of an unforeseen shape must not pass without the values that are enforced on it.
                logger.exception("%s", whose)
                problem = f"{type(error).__name__}: {error}"
                found = review.refused(request.uid, UNREADABLE.format(problem))
            if problem:
                metrics.REFUSALS.labels(name(request), "Unreadable").inc()
                logger.warning("%s refused: %s", whose, problem)
            operation = request.operation if request.operation in ("CREATE", "UPDATE") else "other"
            metrics.ADMISSIONS.labels(name(request), operation, "error" if found is None else found.result).inc()
            metrics.SECONDS.observe(time.perf_counter() - began)
            if found is None:
                response = web.Response(status=503, text="the options cannot be read at the moment")
            else:
                response = web.Response(body=found.body, headers=_JSON)
            if stopping():
                response.force_close()
            return response

        return received

    def engine(request: review.Request) -> str:
        # Any client of the port chooses the kind: only known ones become time series.
        found = handler.engine(request)
        return "other" if found is None else found.name

    app = web.Application()
    app.router.add_post("/executions", route(handler.answer, engine))
    app.router.add_post("/objects", route(objects.answer, lambda _: "none"))
    return app
