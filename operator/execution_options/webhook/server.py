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
"""Bytes of one request: an object and its old version, each at most what etcd takes, and room to spare."""
LARGE = 1024 * 1024
"""Bytes from which on a body is read only while few others are: decoded, it takes several times as much memory."""
LARGE_AT_ONCE = 2
MAX_DRAINED = 4 * MAX_BODY
"""Bytes of a larger request that are read and dropped, so that it can be refused with a reason. The API server takes
objects of 3 MiB, of which six times as much can become when JSON escapes every character."""

AT_ONCE = 160
AT_ONCE_OF_ONE = 64
"""Requests that are decided on at the same time, in all and of one namespace: most of that time they wait for the API
server, to which there are few connections."""
WAIT_SECONDS = 3.5
"""How long a request waits for room to be decided on."""
LARGE_SECONDS = 1.0
"""How long a large body waits to be read before that."""
BUSY_SECONDS = 4.5
"""A request that still waits for a turn this long after its arrival is refused. The shortest time-out of the webhook's
entries is 5 s."""

BUSY = (
    "namespace {} has so many requests under way that this one would have waited too long for the operator; try again"
)
UNREADABLE = "the operator cannot read or patch this object: {}"

_JSON = {"Content-Type": "application/json"}


class _TooLargeError(Exception):
    """A body is larger than any that the API server sends."""


async def _rest(first: bytes, content: aiohttp.StreamReader) -> tuple[bytes, int]:
    """A body that begins with ``first``, as far as it is kept, and how many bytes it has.

    Raises:
        _TooLargeError: nobody reads that much.
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
    """The request that was read, and why its objects cannot be judged; empty where they can be.

    Raises:
        UnreadableError: it is none.
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
    """The application: ``/executions`` changes executions, ``/objects`` checks what else users write.

    Namespaces take turns at everything that one of them could have too much of: large bodies, room, the processor.

    Args:
        handler: of executions.
        objects: of all else.
        stopping: while it is true, each answer ends its connection.
        processor: the same as the handler's, which takes up decisions again after having waited for the API server.
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
        # Whoever reaches the port chooses these words: only known ones become time series.
        found = handler.engine(request)
        return "other" if found is None else found.name

    app = web.Application()
    app.router.add_post("/executions", route(handler.answer, engine))
    app.router.add_post("/objects", route(objects.answer, lambda _: "none"))
    return app
