"""Lets go of executions that the operator holds, for when it is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from execution_options.api.names import ID_LABEL, NOTIFICATIONS_FINALIZER
from execution_options.kube.client import JSON_PATCH, METADATA, METADATA_LIST, ApiError, path_of
from execution_options.kube.meta import ObjectMeta, PartialObject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube

PAGE: Final = "500"
ATTEMPTS: Final = 4


class _ListMeta(Struct):
    next: str = field(name="continue", default="")


class _Page(Struct):
    metadata: _ListMeta
    items: list[PartialObject] | None = None


async def release_all(kube: Kube, engines: Iterable[Engine]) -> int:
    """Remove the operator's finalizer from all executions; how many had it.

    Executions of which deliveries were not recorded yet are notified no more once they are gone.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it.
    """
    released = 0
    for engine in engines:
        async for metadata in _held(kube, engine):
            released += await _release(kube, engine, metadata)
    return released


async def _held(kube: Kube, engine: Engine) -> AsyncIterator[ObjectMeta]:
    collection, token = path_of(engine.group, engine.version, engine.plural), ""
    while True:
        params = {"limit": PAGE, "labelSelector": ID_LABEL} | ({"continue": token} if token else {})
        try:
            page = msgspec.json.decode(await kube.get(collection, params=params, accept=METADATA_LIST), type=_Page)
        except ApiError as error:
            if error.status == 404:
                return  # the engine is not installed
            raise
        for item in page.items or ():
            if NOTIFICATIONS_FINALIZER in (item.metadata.finalizers or ()):
                yield item.metadata
        token = page.metadata.next
        if not token:
            return


async def _release(kube: Kube, engine: Engine, metadata: ObjectMeta) -> bool:
    path = path_of(engine.group, engine.version, engine.plural, metadata.namespace, metadata.name)
    for attempt in range(ATTEMPTS):
        at = f"/metadata/finalizers/{(metadata.finalizers or []).index(NOTIFICATIONS_FINALIZER)}"
        change = [{"op": "test", "path": at, "value": NOTIFICATIONS_FINALIZER}, {"op": "remove", "path": at}]
        try:
            await kube.patch(path, change, JSON_PATCH, accept=METADATA)
        except ApiError as error:
            if error.status == 404:
                return False
            if error.status not in (409, 422) or attempt == ATTEMPTS - 1:
                raise
            metadata = msgspec.json.decode(await kube.get(path, accept=METADATA), type=PartialObject).metadata
            if NOTIFICATIONS_FINALIZER not in (metadata.finalizers or ()):
                return False
        else:
            return True
    return False
