"""Writes of statuses: at once if a condition changed, at intervals if only numbers did."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from execution_options.kube.client import ApiError
from execution_options.status.conditions import is_urgent, is_written

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping

    from execution_options.controller.runtime.writer import Writer

K = TypeVar("K", bound="Hashable")
logger = logging.getLogger(__name__)


class StatusWrite(NamedTuple):
    """The result of a write."""

    answer: bytes | None = None
    """The object as it is now; ``None`` if nothing was written."""
    wait: float | None = None
    """Seconds until it may be written; ``None`` if it was written or is up to date."""
    conflict: bool = False
    """Whether the object has changed or gone since it was read."""


class StatusWriter(Generic[K]):
    """Writes the statuses of the objects of one kind.

    Args:
        interval: seconds between two writes of an object's status in which only numbers changed.
        harmless: reasons for not being ready that are logged as information.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        writer: Writer,
        interval: float,
        harmless: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._interval = interval
        self._harmless = harmless
        self._clock = clock
        self._written: dict[K, float] = {}

    async def write(
        self,
        key: K,
        path: str,
        metadata: Mapping[str, Any],
        present: Mapping[str, Any],
        status: Mapping[str, Any],
        name: str,
    ) -> StatusWrite:
        """Write a status if it differs from the present one, and log a new condition.

        Args:
            key: key of the object.
            path: path of its ``status``.
            metadata: fields that must not have changed, such as ``uid`` or ``resourceVersion``.
            present: the status as it was read.
            status: the desired status, as a merge patch.
            name: kind and name of the object, for the log.

        Raises:
            LeaseLostError: the lease does not hold.
            ApiError: it was refused for another reason than a conflict.
        """
        if is_written(present, status):
            return StatusWrite()
        urgent = is_urgent(present, status)
        wait = self._written.get(key, float("-inf")) + self._interval - self._clock()
        if wait > 0 and not urgent:
            return StatusWrite(wait=wait)
        try:
            answer = await self._writer.merge(path, {"metadata": dict(metadata), "status": dict(status)})
        except ApiError as error:
            if error.status in (404, 409):
                return StatusWrite(conflict=True)
            raise
        self._written[key] = self._clock()
        if urgent:
            ready = next(one for one in status["conditions"] if one["type"] == "Ready")
            wrong = ready["status"] == "False" and ready["reason"] not in self._harmless
            level = logging.WARNING if wrong else logging.INFO
            logger.log(level, "%s: %s: %s", name, ready["reason"], ready["message"].partition("\n")[0])
        return StatusWrite(answer)

    def forget(self, key: K) -> None:
        """An object is gone."""
        self._written.pop(key, None)
