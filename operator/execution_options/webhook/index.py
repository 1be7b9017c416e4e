"""The options in memory, as fresh as a request needs them.

The stores follow the API server by watch, which lags. An execution may be created right after its
options (``kubectl apply -f options.yaml -f job.yaml``), so before options are used their generations
are listed consistently, metadata only, and what differs from the store is fetched.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct, structs

from execution_options.api import decoding, names
from execution_options.api.meta import ObjectMeta, PartialObject
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import OptionsObject, read_stored
from execution_options.engines.artifacts import RENDERED, REPOSITORIES, Repositories
from execution_options.kube.channels import read_channels
from execution_options.kube.client import METADATA, METADATA_LIST, REQUEST_ERRORS, Kube, get_if_exists, path_of
from execution_options.kube.engines import EngineIndex, read_engines, specification_path
from execution_options.kube.listing import LARGE_PAGE
from execution_options.kube.quotas import Quotas
from execution_options.kube.store import Store
from execution_options.parallelism.quota import refusal
from execution_options.webhook.backlog import Backlog
from execution_options.webhook.shared import SharedCalls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.engines.registry import Engines
    from execution_options.engines.specification import Reference
    from execution_options.notifications.route import Channels
    from execution_options.webhook.review import GroupVersionKind

logger = logging.getLogger(__name__)

LISTS_AT_ONCE: Final = 2
"""A consistent list takes up to 0.1 s while lists are frequent: the API server's watch cache asks etcd that often how
far it is. Waiting for another's list and then for one's own would double that."""

PAUSE_SECONDS: Final = 0.005
"""Between the beginnings of two reads of the same. A read costs us and the API server more than what is decided with
it, so that under load more requests share one; without load nobody waits."""

FRESH_SECONDS: Final = 0.5
"""How long a request waits at most for the consistent list; then the stores must do."""


RENDERING_SECONDS: Final = 0.05
"""Between two looks for an artifact repository that the controller is about to render."""


class Stored(Struct, frozen=True):
    """An options object as it is listed and watched, and what was read from its spec before it was kept."""

    metadata: ObjectMeta
    spec: Raw = Raw(b"{}")
    options: OptionsObject | None = None
    """``None`` where it cannot be understood."""


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


class Index:
    """Options of both kinds, the labels of namespaces, and quotas.

    Args:
        kube: the connection.
        namespace: of the operator.
    """

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._operator_namespace = namespace
        self._quotas = Quotas(kube)
        self._backlog = Backlog(kube, namespace)
        self._ignored: dict[str, str] = {}
        """Versions of objects that cannot be understood, by uid: it is said once."""
        self._stores = {
            kind: Store(
                kube,
                path_of(names.GROUP, names.VERSION, plural),
                Stored,
                page=LARGE_PAGE,
                prepare=partial(self._parsed, kind),
                on_change=self._forget,
            )
            for kind, plural in names.PLURALS.items()
        }
        self._namespaces = Store(kube, path_of("", "v1", "namespaces"), PartialObject, metadata_only=True)
        self._fresh: SharedCalls[str, list[OptionsObject]] = SharedCalls(
            self._read, LISTS_AT_ONCE, PAUSE_SECONDS, FRESH_SECONDS
        )
        self._accounts: SharedCalls[tuple[str, str], ObjectMeta | None] = SharedCalls(
            self._account, pause=PAUSE_SECONDS
        )
        self._plans: SharedCalls[str, dict[str, str]] = SharedCalls(self._annotations, pause=PAUSE_SECONDS)
        self._objects: SharedCalls[str, dict[str, Any] | None] = SharedCalls(self._object, pause=PAUSE_SECONDS)
        self._known: dict[str, list[OptionsObject]] = {}
        # Where descriptions were seen, their going is told one by one: that their kind is unknown is a proxy's word.
        self._engines = EngineIndex(kube, hidden=self._are_engines_described)
        self._fresh_engines: SharedCalls[None, Engines] = SharedCalls(
            lambda _: read_engines(kube, hidden=self._are_engines_described()), pause=PAUSE_SECONDS
        )

    @property
    def synced(self) -> bool:
        """Whether every collection was listed once."""
        return (
            self._engines.synced
            and self._namespaces.synced.is_set()
            and all(store.synced.is_set() for store in self._stores.values())
        )

    async def run(self) -> None:
        """Follow all collections until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._engines.run())
            group.create_task(self._namespaces.run())
            group.create_task(self._quotas.run())
            group.create_task(self._backlog.run())
            for store in self._stores.values():
                group.create_task(store.run())

    @property
    def engines(self) -> Engines:
        """The engines as far as the watch has told."""
        return self._engines.engines

    def _are_engines_described(self) -> bool:
        return bool(self._engines.names())

    async def engines_with(self, kind: GroupVersionKind) -> Engines:
        """The engines, including one of this kind that was described just before.

        Whoever asks about one was told to by an entry in the API server, which may be newer than what is known here.
        """
        if self.engines.serving(kind.group, kind.version, kind.kind) is not None:
            return self.engines
        return await self.fresh_engines()

    async def fresh_engines(self) -> Engines:
        """The engines, including one that was described just before."""
        return await self._fresh_engines.call(None)

    async def candidates(self, namespace: str) -> list[OptionsObject]:
        """The options that executions of ``namespace`` can have, including any applied just before."""
        try:
            return await self._fresh.call(namespace)
        except REQUEST_ERRORS as error:
            logger.warning("options of namespace %s: answered from memory: %s", namespace, str(error) or "timed out")
            return self.known(namespace)

    def known(self, namespace: str) -> list[OptionsObject]:
        """The same as far as the watches have told, which is a few milliseconds behind."""
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

    def exceeded(self, namespace: str, identifier: str, pod: Mapping[str, Any]) -> str:
        """Why another pod of an execution must not wait, where a quota counts it that is nearly used; empty if it may.

        From memory alone, and only where the controller says that others wait already: who has slots left, or whom
        nobody told of, passes.
        """
        if not identifier or not self._backlog.names(namespace, identifier):
            return ""
        used = self._quotas.nearly_used(namespace, pod)
        return "" if used is None else refusal(*used)

    async def namespace_labels(self, namespace: str) -> dict[str, str]:
        """Labels of a namespace."""
        return (await self.namespace(namespace)).labels or {}

    async def channels(self, namespace: str, labels: Mapping[str, str]) -> Channels:
        """The channels that executions of a namespace with these labels can use, read consistently."""
        return await read_channels(self._kube, namespace, labels, self._operator_namespace)

    async def namespace(self, namespace: str) -> ObjectMeta:
        """The metadata of a namespace; one created just before is fetched."""
        known = self._namespaces.get("", namespace)
        if known is None:
            path = path_of("", "v1", "namespaces", name=namespace)
            known = decoding.read(await self._kube.get(path, accept=METADATA), PartialObject)
        return known.metadata

    async def plan_annotations(self, plan: LaunchPlanKind, namespace: str, name: str) -> dict[str, str]:
        """Annotations of a launch plan, read consistently; none where it is gone."""
        return await self._plans.call(path_of(plan.group, plan.version, plan.plural, namespace, name))

    async def specification(self, wanted: Reference, namespace: str) -> dict[str, Any] | None:
        """The object that an execution takes the rest of its specification from, read consistently, if it is there."""
        return await self._objects.call(specification_path(wanted, namespace))

    async def repositories(self, namespace: str, wanted: set[str]) -> Repositories:
        """The artifact repositories of a namespace, once the ``wanted`` entries are rendered, or after a moment."""
        rendered, default = (path_of("", "v1", "configmaps", namespace, name) for name in (RENDERED, REPOSITORIES))
        deadline = asyncio.get_running_loop().time() + FRESH_SECONDS
        while True:
            found = await self._objects.call(rendered)
            known: dict[str, str] = (found or {}).get("data") or {}
            if wanted <= known.keys():
                return Repositories(has_default=True, entries=known)
            if await self._objects.call(default) is None:
                return Repositories()
            if asyncio.get_running_loop().time() >= deadline:
                return Repositories(has_default=True, entries=known)
            await asyncio.sleep(RENDERING_SECONDS)

    async def account(self, namespace: str, name: str) -> ObjectMeta | None:
        """A service account, read consistently; ``None`` where there is none."""
        return await self._accounts.call((namespace, name))

    async def _annotations(self, path: str) -> dict[str, str]:
        found = await self._metadata(path)
        return {} if found is None else found.annotations or {}

    async def _object(self, path: str) -> dict[str, Any] | None:
        answer = await get_if_exists(self._kube, path)
        return None if answer is None else decoding.read_object(answer)

    async def _account(self, account: tuple[str, str]) -> ObjectMeta | None:
        return await self._metadata(path_of("", "v1", "serviceaccounts", *account))

    async def _metadata(self, path: str) -> ObjectMeta | None:
        answer = await get_if_exists(self._kube, path, accept=METADATA)
        return None if answer is None else decoding.read(answer, PartialObject).metadata

    async def _read(self, namespace: str) -> list[OptionsObject]:
        """List the generations of both kinds, and fetch what the stores do not have."""
        places = ((names.OPTIONS_KIND, namespace), (names.CLUSTER_OPTIONS_KIND, ""))
        found = await asyncio.gather(*(self._at(kind, where) for kind, where in places))
        return [stored.options for items in found for stored in items if stored.options is not None]

    async def _at(self, kind: str, namespace: str) -> list[Stored]:
        """The objects as they are listed; those whose specs the store does not have yet are fetched."""
        store = self._stores[kind]
        listed = await self._list_generations(kind, namespace)
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
        return None if answer is None else self._parsed(kind, decoding.read(answer, Stored))

    async def _list_generations(self, kind: str, namespace: str) -> _Generations:
        path = path_of(names.GROUP, names.VERSION, names.PLURALS[kind], namespace)
        return decoding.read(await self._kube.get(path, accept=METADATA_LIST), _Generations)

    def _parsed(self, kind: str, stored: Stored, known: Stored | None = None) -> Stored:
        """The object with what its spec says, without the text of it."""
        metadata = stored.metadata
        if known is not None and _is_same_spec(known, metadata):
            return structs.replace(known, metadata=_slim(metadata))
        try:
            options = read_stored(kind, msgspec.to_builtins(metadata), stored.spec)
        except InvalidOptionsError as error:
            if self._ignored.get(metadata.uid) != metadata.resource_version:
                self._ignored[metadata.uid] = metadata.resource_version
                logger.warning("%s %s/%s is ignored: %s", kind, metadata.namespace, metadata.name, error)
            options = None
        return Stored(_slim(metadata), options=options)

    def _forget(self, old: Stored | None, new: Stored | None) -> None:
        item = new or old
        if item is not None and item.metadata.namespace:
            self._known.pop(item.metadata.namespace, None)
        else:
            self._known.clear()
        if old is not None and new is None:
            self._ignored.pop(old.metadata.uid, None)


def _slim(metadata: ObjectMeta) -> ObjectMeta:
    return ObjectMeta(
        name=metadata.name,
        namespace=metadata.namespace,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        generation=metadata.generation,
    )


def _is_same_spec(stored: Stored, found: ObjectMeta | _Generation) -> bool:
    """Whether the spec is the one that is known: the API server counts generations of specs.

    The controller writes the status of options at any time, which changes their versions alone.
    """
    known = stored.metadata
    return (known.uid, known.generation) == (found.uid, found.generation)
