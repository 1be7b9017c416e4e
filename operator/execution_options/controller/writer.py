"""Requests that change the cluster: sent by the active controller only, and never for long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.api.names import FIELD_MANAGER
from execution_options.controller.lease import LeaseLostError
from execution_options.kube.client import JSON_PATCH, MERGE_PATCH, METADATA
from execution_options.kube.meta import PartialObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.engines.patch import Operation
    from execution_options.kube.client import Kube
    from execution_options.kube.meta import ObjectMeta

_PARAMS = {"fieldManager": FIELD_MANAGER}


class Writer:
    """Writes while the lease holds.

    Every method raises :class:`LeaseLostError` where it does not, and otherwise what ``Kube.request`` does.

    Args:
        kube: the connection.
        holds: whether this process is the active controller now.
        seconds: how long one request may take.
    """

    def __init__(self, kube: Kube, holds: Callable[[], bool], seconds: float) -> None:
        self._kube = kube
        self._holds = holds
        self._seconds = seconds

    async def create(self, collection: str, body: Any) -> ObjectMeta:
        """Create an object; its metadata as it is then."""
        self.check()
        answer = await self._kube.create(collection, body, params=_PARAMS, accept=METADATA, seconds=self._seconds)
        return msgspec.json.decode(answer, type=PartialObject).metadata

    async def patch(self, path: str, operations: list[Operation]) -> ObjectMeta:
        """Apply a JSON Patch to an object; its metadata as it is then."""
        self.check()
        answer = await self._kube.patch(
            path, operations, JSON_PATCH, params=_PARAMS, accept=METADATA, seconds=self._seconds
        )
        return msgspec.json.decode(answer, type=PartialObject).metadata

    async def merge(self, path: str, body: Any) -> bytes:
        """Apply a JSON Merge Patch; the whole object as it is then."""
        self.check()
        return await self._kube.patch(path, body, MERGE_PATCH, params=_PARAMS, seconds=self._seconds)

    async def delete(self, path: str, options: Any) -> None:
        """Delete an object under the given preconditions."""
        self.check()
        await self._kube.request("DELETE", path, body=options, accept=METADATA, seconds=self._seconds)

    def check(self) -> None:
        """Raise unless the lease holds."""
        if not self._holds():
            raise LeaseLostError("the lease does not hold any more: nothing is written")
