"""Reads and writes of single objects, within the bounds that all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.api import decoding
from execution_options.api.meta import PartialObject
from execution_options.engines.metadatapatch import holds
from execution_options.kube.client import METADATA, ApiError, get_if_exists

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.admission.edit import Plan
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.runtime.metrics import Metrics
    from execution_options.controller.runtime.ratelimit import Pace
    from execution_options.controller.runtime.writer import Writer
    from execution_options.kube.client import Kube
    from execution_options.options.live import Left

ATTEMPTS: Final = 4
"""How often an object that changes all the time is read again at once, before it has to wait its turn."""


class ConflictError(Exception):
    """An object changed each time between being read and being written; it is tried again later."""


class UndoneError(ConflictError):
    """Somebody changes every write back while it is made: to go on would never end."""


class Shell:
    """Reads and writes that the reconciles of executions and of pods have in common.

    Args:
        kube: for reading.
        writer: for writing.
        bucket: bounds how often, and is told how that was taken.
        metrics: counts.
    """

    def __init__(self, kube: Kube, writer: Writer, bucket: Pace, metrics: Metrics) -> None:
        self.kube = kube
        self.writer = writer
        self.bucket = bucket
        self.metrics = metrics

    async def settle(
        self, path: str, metadata: ObjectMeta, what: str, plan: Callable[[ObjectMeta], Plan]
    ) -> tuple[Left, ...]:
        """Patch an object as planned, planning anew from a fresh read where it changed meanwhile.

        Returns:
            What was left as others made it, where anything was patched.

        Raises:
            ConflictError: it changed again and again.
            ApiError: the write is refused.
            UndoneError: it is not as it was written.
        """
        uid = metadata.uid
        for _ in range(ATTEMPTS):
            planned = plan(metadata)
            if not planned.operations:
                return planned.left
            await self.bucket.take(metadata.namespace)
            try:
                written = await self.writer.patch(path, planned.operations)
            except TimeoutError:
                self.bucket.refused()
                raise
            except ApiError as error:
                if error.is_overload:
                    self.bucket.refused(error.retry_after)
                if error.is_not_found:
                    return ()
                if error.status not in (409, 422):
                    raise
                fresh = await self.read(path)
                if fresh is None or fresh.uid != uid:
                    return ()
                if fresh.resource_version == metadata.resource_version:
                    raise  # nothing has changed: somebody refuses it
                metadata = fresh
            else:
                self.bucket.accepted()
                self.metrics.patches.labels(what).inc()
                if not holds(written, planned.operations):
                    raise UndoneError(
                        f"{path}: what was written was undone at once; does the webhook trust the controller's user?"
                    )
                return planned.left
        raise ConflictError(f"{path} changed {ATTEMPTS} times between being read and being written")

    async def read(self, path: str) -> ObjectMeta | None:
        """Metadata of an object as it is now; ``None`` where it is gone."""
        answer = await get_if_exists(self.kube, path, accept=METADATA)
        return None if answer is None else decoding.read(answer, PartialObject).metadata
