"""Requests that change the cluster: only the active controller sends them, each with a time-out."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final

from execution_options.api import decoding
from execution_options.api.meta import PartialObject
from execution_options.api.names import FIELD_MANAGER
from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.fairness import BusyError, Turns
from execution_options.kube.client import MERGE_PATCH, METADATA, ApiError
from execution_options.kube.encoding import JSON_PATCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.meta import ObjectMeta
    from execution_options.engines.patch import Operation
    from execution_options.kube.client import Kube

_PARAMS = {"fieldManager": FIELD_MANAGER}
EFFECT_WITHIN: Final = 2.0
"""An unanswered request can no longer take effect after this multiple of its time-out. A new leader waits for the same
period (``controller.runtime.lease``)."""
AT_ONCE: Final = 48
"""Writes under way at once; fewer than there are connections, so that reads find one."""
AT_ONCE_OF_ONE: Final = 4
"""Writes under way at once in one namespace. More would make every request to a busy API server slower, also those that
the operator has nothing to do with (``benchmarks fairness``); an idle one takes several hundred writes a second so."""


class Writer:
    """Writes while the lease holds.

    Every method raises :class:`LeaseLostError` if it does not, and what ``Kube.request`` raises.

    Args:
        holds: whether this process is the active controller now.
        seconds: time-out of one request.
    """

    def __init__(self, kube: Kube, holds: Callable[[], bool], seconds: float) -> None:
        self._kube = kube
        self._holds = holds
        self._seconds = seconds
        # The API server gives up a request when we do.
        self._params = _PARAMS | {"timeout": f"{seconds:g}s"}
        self._turns = Turns(AT_ONCE, AT_ONCE_OF_ONE, seconds)
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._over = -math.inf
        """When no unanswered request can take effect any more, in monotonic seconds."""
        self._finished = False

    async def create(self, collection: str, body: Any) -> ObjectMeta:
        """Create an object and return its metadata."""
        return _metadata(await self._send("POST", collection, body, accept=METADATA))

    async def patch(self, path: str, operations: list[Operation]) -> ObjectMeta:
        """Apply a JSON Patch to an object and return its new metadata."""
        return _metadata(await self._send("PATCH", path, operations, content_type=JSON_PATCH, accept=METADATA))

    async def merge(self, path: str, body: Any) -> bytes:
        """Apply a JSON Merge Patch and return the whole object."""
        return await self._send("PATCH", path, body, content_type=MERGE_PATCH)

    async def delete(self, path: str, options: Any) -> None:
        """Delete an object under the given preconditions."""
        await self._send("DELETE", path, options, accept=METADATA)

    def check(self) -> None:
        """Raise unless the lease holds."""
        if not self._holds():
            raise LeaseLostError("the lease no longer holds: nothing is written")

    async def finish(self) -> None:
        """Send nothing more, and wait until no request that was sent can take effect any more.

        Every later write waits until it is cancelled.
        """
        self._finished = True
        await self._idle.wait()
        await asyncio.sleep(max(0.0, self._over - time.monotonic()))

    async def _send(self, method: str, path: str, body: Any, **options: Any) -> bytes:
        namespace = _namespace_of(path)
        try:
            # Before the lease is checked: from the check on a request must not wait.
            await self._turns.enter(namespace)
        except BusyError:
            raise TimeoutError(f"other writes to {namespace or 'the cluster'} took {self._seconds:g} s") from None
        try:
            return await self._send_now(method, path, body, **options)
        finally:
            self._turns.leave(namespace)

    async def _send_now(self, method: str, path: str, body: Any, **options: Any) -> bytes:
        if self._finished:
            await asyncio.get_running_loop().create_future()
        self.check()
        sent = time.monotonic()
        answered = False
        self._under_way += 1
        self._idle.clear()
        try:
            answer = await self._kube.request(
                method, path, body=body, params=self._params, seconds=self._seconds, **options
            )
            answered = True
        except ApiError as error:
            answered = error.is_certain
            raise
        finally:
            if not answered:
                self._over = max(self._over, sent + EFFECT_WITHIN * self._seconds)
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        return answer


def _namespace_of(path: str) -> str:
    """The namespace in the path of a resource; empty where it has none."""
    return path.partition("/namespaces/")[2].partition("/")[0]


def _metadata(answer: bytes) -> ObjectMeta:
    return decoding.read(answer, PartialObject).metadata
