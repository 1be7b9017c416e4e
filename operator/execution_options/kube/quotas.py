"""ResourceQuotas that limit pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from execution_options.kube.client import path_of
from execution_options.kube.store import Store
from execution_options.parallelism.quota import limits_pods, nearly_used, uses

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from execution_options.kube.client import Kube


class _Meta(Struct, frozen=True, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str


class _Status(Struct, frozen=True):
    hard: dict[str, str] = {}
    used: dict[str, str] = {}


class Quota(Struct, frozen=True):
    """Limits and usage of a ResourceQuota."""

    metadata: _Meta
    status: _Status = _Status()


class NearlyUsed(NamedTuple):
    """A quota that is nearly used: its name, and the resources with their usage, for people."""

    quota: str
    text: str


class Quotas:
    """Follows all ResourceQuotas. Their scopes are ignored: only the API server decides which pods match them."""

    def __init__(self, kube: Kube) -> None:
        self._store = Store(kube, path_of("", "v1", "resourcequotas"), Quota, on_change=self.changed)
        self._nearly: dict[str, dict[str, dict[str, str]]] = {}
        """Namespace → quota → nearly used resource → its usage, for people."""
        self._limiting: dict[str, set[str]] = {}
        """Namespace → quotas that limit pods."""

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._store.run()

    def namespaces(self) -> Set[str]:
        """Return the namespaces with a quota that limits pods."""
        return self._limiting.keys()

    def nearly_used(self, namespace: str, pod: Mapping[str, Any] | None = None) -> NearlyUsed | None:
        """Return the first quota of a namespace, by name, that is nearly used; ``None`` if there is none.

        Args:
            namespace: the namespace.
            pod: only resources that this pod uses matter; ``None``: those that any pod can use.
        """
        for quota, resources in sorted(self._nearly.get(namespace, {}).items()):
            found = [text for resource, text in resources.items() if pod is None or uses(resource, pod)]
            if found:
                return NearlyUsed(quota, ", ".join(found))
        return None

    def changed(self, old: Quota | None, new: Quota | None) -> None:
        """Handle a quota that was added, changed or deleted; arguments as ``on_change`` of a store has them."""
        item = new or old
        if item is None:
            return
        name, namespace = item.metadata.name, item.metadata.namespace
        status = _Status() if new is None else new.status
        limiting, nearly = self._limiting.pop(namespace, set()) - {name}, self._nearly.pop(namespace, {})
        nearly.pop(name, None)
        if limits_pods(status.hard):
            limiting.add(name)
            if found := nearly_used(status.hard, status.used):
                nearly[name] = found
        if limiting:
            self._limiting[namespace] = limiting
        if nearly:
            self._nearly[namespace] = nearly
