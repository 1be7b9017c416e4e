"""Options in memory, as fresh as a request needs them.

The stores follow the API server by watch, which lags. An execution may be created right after its options
(``kubectl apply -f options.yaml -f job.yaml``), so before options are used their generations are listed consistently,
metadata only, and specs that the store does not have are fetched.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, structs

from execution_options.api import decoding, names
from execution_options.api.meta import ObjectMeta
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import OptionsObject, read_stored
from execution_options.kube.client import METADATA_LIST, REQUEST_ERRORS, Kube, path_of
from execution_options.kube.listing import LARGE_PAGE, get_if_exists
from execution_options.kube.store import Store
from execution_options.logs import error_text
from execution_options.options.labelselector import packed
from execution_options.webhook.shared import PAUSE_SECONDS, SharedCalls

logger = logging.getLogger(__name__)

LISTS_AT_ONCE: Final = 2
"""Consistent lists of one namespace at the same time. While lists are frequent, one takes up to 0.1 s: the interval at
which the API server's watch cache asks etcd for its revision. With one at a time, a request could wait for two."""

FRESH_SECONDS: Final = 0.5
"""Longest wait for the consistent list; after that the request is answered from memory."""


class Stored(Struct, frozen=True):
    """An options object as the API server returns it, or as it is kept: with decoded options instead of the spec.

    Attributes:
        metadata: its metadata; of a kept one only what identifies its version.
        spec: JSON; empty if it is kept.
        options: ``None`` if it is not decoded, or its spec is invalid.
    """

    metadata: ObjectMeta
    spec: Raw = Raw(b"{}")
    options: OptionsObject | None = None


class _Generation(Struct, frozen=True, rename="camel"):
    name: str
    uid: str
    resource_version: str
    generation: int = 0
    namespace: str = ""


class _GenerationItem(Struct, frozen=True):
    metadata: _Generation


class _Generations(Struct, frozen=True):
    items: list[_GenerationItem] | None = None


class FreshOptions:
    """Options of both kinds.

    Args:
        kube: the connection.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._ignored: dict[str, str] = {}
        """uid of an invalid object → the version that a log message was written about."""
        self._stores = {
            kind: Store(
                kube,
                path_of(names.GROUP, names.VERSION, plural),
                Stored,
                page=LARGE_PAGE,
                prepare=partial(self._decoded, kind),
                on_change=self._forget,
            )
            for kind, plural in names.PLURALS.items()
        }
        self._fresh: SharedCalls[str, list[OptionsObject]] = SharedCalls(
            self._read, LISTS_AT_ONCE, PAUSE_SECONDS, FRESH_SECONDS
        )
        self._known: dict[str, list[OptionsObject]] = {}
        """Namespace → the options in it and in the cluster, until one of them changes."""

    @property
    def synced(self) -> bool:
        """Whether both kinds were listed once."""
        return all(store.synced.is_set() for store in self._stores.values())

    async def run(self) -> None:
        """Follow both kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            for store in self._stores.values():
                group.create_task(store.run())

    async def candidates(self, namespace: str) -> list[OptionsObject]:
        """The options that executions of ``namespace`` can have, including any that were applied just before."""
        try:
            return await self._fresh.call(namespace)
        except REQUEST_ERRORS as error:
            logger.warning("options of namespace %s: answered from memory: %s", namespace, error_text(error))
            return self.known(namespace)

    def known(self, namespace: str) -> list[OptionsObject]:
        """The options that executions of ``namespace`` can have, from memory, which is some milliseconds behind."""
        known = self._known.get(namespace)
        if known is None:
            places = ((names.OPTIONS_KIND, namespace), (names.CLUSTER_OPTIONS_KIND, ""))
            known = self._known[namespace] = [
                stored.options
                for kind, where in places
                for (of, _), stored in self._stores[kind].items.items()
                if of == where and stored.options is not None
            ]
        return known

    async def _read(self, namespace: str) -> list[OptionsObject]:
        """List the generations of both kinds, and fetch the specs that the stores do not have."""
        places = ((names.OPTIONS_KIND, namespace), (names.CLUSTER_OPTIONS_KIND, ""))
        found = await asyncio.gather(*(self._at(kind, where) for kind, where in places))
        return [stored.options for items in found for stored in items if stored.options is not None]

    async def _at(self, kind: str, namespace: str) -> list[Stored]:
        """The objects of one kind in a namespace (empty: of the cluster), as a consistent list has them."""
        store = self._stores[kind]
        path = path_of(names.GROUP, names.VERSION, names.PLURALS[kind], namespace)
        listed = decoding.read(await self._kube.get(path, accept=METADATA_LIST), _Generations)
        found: list[Stored] = []
        behind: list[str] = []
        for item in listed.items or ():
            stored = store.get(namespace, item.metadata.name)
            if stored is not None and _is_same_spec(stored, item.metadata):
                found.append(stored)
            else:
                behind.append(item.metadata.name)
        fetched = await asyncio.gather(*(self._fetch(kind, namespace, name) for name in behind))
        return found + [stored for stored in fetched if stored is not None]

    async def _fetch(self, kind: str, namespace: str, name: str) -> Stored | None:
        path = path_of(names.GROUP, names.VERSION, names.PLURALS[kind], namespace, name)
        answer = await get_if_exists(self._kube, path)
        return None if answer is None else self._decoded(kind, decoding.read(answer, Stored))

    def _decoded(self, kind: str, stored: Stored, known: Stored | None = None) -> Stored:
        """Decode an object before it is kept.

        Args:
            kind: its kind.
            stored: the object as the API server returned it.
            known: the object that it replaces; its options are kept if the spec is the same.
        """
        metadata = stored.metadata
        if known is not None and _is_same_spec(known, metadata):
            return structs.replace(known, metadata=_slim(metadata))
        try:
            options = _packed(read_stored(kind, msgspec.to_builtins(metadata), stored.spec))
        except InvalidOptionsError as error:
            if self._ignored.get(metadata.uid) != metadata.resource_version:
                self._ignored[metadata.uid] = metadata.resource_version
                logger.warning("%s %s/%s is ignored: %s", kind, metadata.namespace, metadata.name, error)
            options = None
        return Stored(_slim(metadata), options=options)

    def _forget(self, old: Stored | None, new: Stored | None) -> None:
        """Forget what was derived from an object that changed."""
        item = new or old
        if item is not None and item.metadata.namespace:
            self._known.pop(item.metadata.namespace, None)
        else:
            self._known.clear()
        if old is not None and new is None:
            self._ignored.pop(old.metadata.uid, None)


def _packed(options: OptionsObject) -> OptionsObject:
    """The options with selectors that take less memory. Only the selection reads them."""
    selectors = ((name, getattr(options.spec, name, UNSET)) for name in ("selector", "namespace_selector"))
    changed = {name: packed(selector) for name, selector in selectors if selector is not UNSET}
    return structs.replace(options, spec=structs.replace(options.spec, **changed)) if changed else options


def _slim(metadata: ObjectMeta) -> ObjectMeta:
    """The metadata that identifies an object and its version."""
    return ObjectMeta(
        name=metadata.name,
        namespace=metadata.namespace,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        generation=metadata.generation,
    )


def _is_same_spec(stored: Stored, found: ObjectMeta | _Generation) -> bool:
    """Whether the spec is the known one: the API server counts a generation for each change of it.

    The version also changes with the status, which the controller writes at any time.
    """
    known = stored.metadata
    return (known.uid, known.generation) == (found.uid, found.generation)
