"""Releases executions that the operator holds, when it is uninstalled or their engine's description is deleted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from execution_options.api import decoding
from execution_options.api.meta import ObjectMeta, PartialObject
from execution_options.api.names import ID_LABEL, NOTIFICATIONS_FINALIZER
from execution_options.engines.profile import builtin
from execution_options.install import ENGINES_CONFIGURATION
from execution_options.install.remembered import Collection, remembered
from execution_options.kube.client import METADATA, METADATA_LIST, ApiError, path_of
from execution_options.kube.encoding import JSON_PATCH
from execution_options.kube.engines import read_engines
from execution_options.kube.listing import get_if_exists, listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 4


async def engines_configuration(kube: Kube) -> dict[str, Any] | None:
    """The webhook configuration of engines that are described in the cluster, if there is one.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it.
    """
    path = path_of("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "", ENGINES_CONFIGURATION)
    answer = await get_if_exists(kube, path)
    return None if answer is None else decoding.read_object(answer)


async def collections(kube: Kube) -> list[Collection]:
    """The collections that may contain held executions: those of built-in, described and formerly described engines.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it.
    """
    described = (await read_engines(kube)).values()
    noted = remembered(await engines_configuration(kube))
    return sorted(noted | {Collection.of(engine) for engine in (*builtin(), *described)})


async def release_all(kube: Kube, where: Iterable[Collection]) -> int:
    """Remove the operator's finalizer from all executions that may be changed, and count those that had it.

    If deliveries of such an execution are not recorded yet, its notifications are lost when it is deleted.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it for another reason than a missing right.
    """
    released = 0
    for collection in where:
        try:
            released += await release(kube, collection)
        except ApiError as error:
            if error.status != 403:
                raise
            logger.warning("%s: what is held there stays: %s", collection, error)
    return released


async def all_held(kube: Kube, where: Iterable[Collection]) -> list[str]:
    """One line for each execution that :func:`release_all` would release.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it for another reason than a missing right.
    """
    found: list[str] = []
    for of in where:
        try:
            found += [f"{of.plural}/{one.name} of namespace {one.namespace}" async for one in _held(kube, of)]
        except ApiError as error:
            if error.status != 403:
                raise
            logger.warning("%s: what is held there stays: %s", of, error)
    return found


async def release(kube: Kube, collection: Collection, check: Callable[[], None] = lambda: None) -> int:
    """Remove the operator's finalizer from the executions of a kind, and count those that had it.

    Args:
        kube: the connection.
        collection: the kind.
        check: called before each write; raises if this process may no longer write.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it.
    """
    released = 0
    async for metadata in _held(kube, collection):
        check()
        released += await _release(kube, collection, metadata)
    return released


async def _held(kube: Kube, of: Collection) -> AsyncIterator[ObjectMeta]:
    path = path_of(of.group, of.version, of.plural)
    found = listed(kube, path, PartialObject, params={"labelSelector": ID_LABEL}, accept=METADATA_LIST)
    try:
        async for item in found:
            if NOTIFICATIONS_FINALIZER in (item.metadata.finalizers or ()):
                yield item.metadata
    except ApiError as error:
        if error.status != 404:
            raise
        # The kind is not installed.


async def _release(kube: Kube, of: Collection, metadata: ObjectMeta) -> bool:
    path = path_of(of.group, of.version, of.plural, metadata.namespace, metadata.name)
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
            metadata = decoding.read(await kube.get(path, accept=METADATA), PartialObject).metadata
            if NOTIFICATIONS_FINALIZER not in (metadata.finalizers or ()):
                return False
        else:
            return True
    return False
