"""The engines of a cluster: the built-in ones and those that are described in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw, Struct

from execution_options.api import decoding, names
from execution_options.api.meta import ObjectMeta
from execution_options.engines.resolution import Description, Resolution, resolve
from execution_options.engines.schema import PathCheck, check_paths
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.listing import get_if_exists
from execution_options.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.engines.specification import Reference
    from execution_options.kube.client import Kube

_PATH = path_of(names.GROUP, names.VERSION, names.ENGINE_PLURAL)


def specification_path(wanted: Reference, namespace: str) -> str:
    """Return the URL path of the object that an execution in ``namespace`` takes the rest of its specification from."""
    kind = wanted.kind
    return path_of(kind.group, kind.version, kind.plural, "" if kind.cluster_scoped else namespace, wanted.name)


class StoredEngine(Struct, frozen=True):
    """A stored ``ExecutionEngine``; its spec is decoded when the engines are resolved."""

    metadata: ObjectMeta
    spec: Raw = Raw(b"{}")
    status: dict[str, Any] | None = None


class _List(Struct, frozen=True):
    items: list[StoredEngine] | None = None


class EngineIndex:
    """Follows the descriptions of engines.

    Args:
        kube: the connection.
        changed: called with the name of every description that was added, changed (its status included) or deleted.
        hidden: whether there may be descriptions although the API server seems not to know their kind.
        following: creates the store of the descriptions.
    """

    def __init__(
        self,
        kube: Kube,
        changed: Callable[[str], None] | None = None,
        hidden: Callable[[], bool] = lambda: False,
        following: Callable[..., Store[StoredEngine]] = Store,
    ) -> None:
        self._kube = kube
        self._changed = changed
        # If the kind is not installed yet, there are only the built-in engines.
        self._store = following(kube, _PATH, StoredEngine, optional=True, hidden=hidden, on_change=self._note)
        self._resolution: Resolution | None = None

    @property
    def synced(self) -> bool:
        """Whether the descriptions have been listed."""
        return self._store.synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until the descriptions have been listed."""
        await self._store.synced.wait()

    @property
    def resolution(self) -> Resolution:
        """The engines that are in force, and what is wrong with the others."""
        if self._resolution is None:
            self._resolution = _resolved(self._store.items.values())
        return self._resolution

    @property
    def engines(self) -> Engines:
        """The engines that are in force, by name."""
        return self.resolution.engines

    def get(self, name: str) -> StoredEngine | None:
        """Return a description, or ``None``."""
        return self._store.get("", name)

    def names(self) -> list[str]:
        """Return the names of all descriptions."""
        return [name for _, name in self._store.items]

    async def run(self) -> None:
        """Follow the descriptions until cancelled."""
        await self._store.run()

    def _note(self, old: StoredEngine | None, new: StoredEngine | None) -> None:
        item = new or old
        if item is None:
            return
        if old is None or new is None or old.metadata.generation != new.metadata.generation:
            self._resolution = None
        if self._changed is not None:
            self._changed(item.metadata.name)


async def read_engines(kube: Kube, *, hidden: bool = False) -> Engines:
    """Read the engines that are in force now.

    Args:
        kube: the connection.
        hidden: whether there are descriptions. If so, a 404 for their kind comes from a proxy.

    Raises:
        execution_options.kube.client.ApiError: the API server refused the request; status 403: without the right.
    """
    try:
        listed = decoding.read(await kube.get(_PATH), _List)
    except ApiError as error:
        if error.status == 404 and not hidden:  # the kind is not installed
            return _resolved(()).engines
        raise
    return _resolved(listed.items or ()).engines


def _resolved(items: Iterable[StoredEngine]) -> Resolution:
    return resolve(
        Description(item.metadata.name, item.metadata.creation_timestamp or "", decoding.read_object(item.spec))
        for item in items
    )


def definition_of(engine: Engine) -> str:
    """Return the name of the CustomResourceDefinition of an engine's kind. Built-in kinds of Kubernetes have none."""
    return f"{engine.plural}.{engine.group}"


def executions_path(engine: Engine, namespace: str = "", name: str = "") -> str:
    """Return the URL path of all executions of an engine, those of a namespace, or one."""
    return path_of(engine.group, engine.version, engine.plural, namespace, name)


async def read_path_check(kube: Kube, engine: Engine) -> PathCheck | None:
    """Check the paths of an engine against the schema of its kind.

    Returns:
        ``None`` if there is no CustomResourceDefinition of the kind, or none of that version.

    Raises:
        execution_options.kube.client.ApiError: the API server refused the request.
    """
    path = path_of("apiextensions.k8s.io", "v1", "customresourcedefinitions", name=definition_of(engine))
    answer = await get_if_exists(kube, path)
    return None if answer is None else check_paths(engine, answer)
