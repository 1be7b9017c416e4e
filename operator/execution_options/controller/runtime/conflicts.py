"""Reads and writes of single objects, within the bounds that all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.admission.edit import Plan
from execution_options.api import decoding
from execution_options.api.meta import PartialObject
from execution_options.engines.metadatapatch import holds
from execution_options.kube.client import METADATA, ApiError
from execution_options.kube.listing import get_if_exists

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.runtime.metrics import Metrics
    from execution_options.controller.runtime.ratelimit import Pace
    from execution_options.controller.runtime.writer import Writer
    from execution_options.kube.client import Kube

ATTEMPTS: Final = 4
"""Attempts to patch an object that keeps changing, before it goes back to the queue."""


class ConflictError(Exception):
    """An object changed between each read and the write that followed; the reconcile is tried again later."""


class UndoneError(ConflictError):
    """A write was changed back while it was made, so repeating it would never end."""


class Shell:
    """Reads and writes that the reconciles of executions and of pods have in common.

    Args:
        writer: for writing.
        bucket: bounds the rate of patches, and adapts it to how the API server answers.
        metrics: counts the patches.
    """

    def __init__(self, kube: Kube, writer: Writer, bucket: Pace, metrics: Metrics) -> None:
        self.kube = kube
        self.writer = writer
        self.bucket = bucket
        self.metrics = metrics

    async def patch(self, path: str, metadata: ObjectMeta, what: str, plan: Callable[[ObjectMeta], Plan]) -> Plan:
        """Patch an object as planned, planning again from a fresh read if it has changed.

        Args:
            path: path of the object.
            metadata: the object as it was last seen.
            what: label of the metric.
            plan: computes the patch from the object's metadata.

        Returns:
            The plan that was carried out; an empty one if the object is gone.

        Raises:
            ConflictError: it changed in every attempt.
            ApiError: the write is refused.
            UndoneError: the answer does not show what was written.
        """
        uid = metadata.uid
        for _ in range(ATTEMPTS):
            planned = plan(metadata)
            if not planned.operations:
                return planned
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
                    return Plan([])
                if error.status not in (409, 422):
                    raise
                fresh = await self.read(path)
                if fresh is None or fresh.uid != uid:
                    return Plan([])
                if fresh.resource_version == metadata.resource_version:
                    raise  # the object has not changed, so this is a refusal
                metadata = fresh
            else:
                self.bucket.accepted()
                self.metrics.patches.labels(what).inc()
                if not holds(written, planned.operations):
                    raise UndoneError(
                        f"{path}: what was written was undone at once; does the webhook trust the controller's user?"
                    )
                return planned
        raise ConflictError(f"{path} changed {ATTEMPTS} times between being read and being written")

    async def read(self, path: str) -> ObjectMeta | None:
        """Metadata of an object as it is now; ``None`` if it is gone."""
        answer = await get_if_exists(self.kube, path, accept=METADATA)
        return None if answer is None else decoding.read(answer, PartialObject).metadata
