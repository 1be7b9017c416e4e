"""The ResourceQuotas of a cluster, as far as they limit pods."""

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
    """How much a ResourceQuota allows, and how much is used."""

    metadata: _Meta
    status: _Status = _Status()


class NearlyUsed(NamedTuple):
    """A quota that is nearly used: its name, and what of it, for people."""

    quota: str
    text: str


class Quotas:
    """Follows all ResourceQuotas, whatever their scopes: which pods a scope takes in is the API server's to say."""

    def __init__(self, kube: Kube) -> None:
        self._store = Store(kube, path_of("", "v1", "resourcequotas"), Quota, on_change=self.changed)
        self._nearly: dict[str, dict[str, dict[str, str]]] = {}
        """By namespace and quota: what of it is nearly used, and how much."""
        self._limiting: dict[str, set[str]] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._store.run()

    def namespaces(self) -> Set[str]:
        """The namespaces with a quota that limits pods."""
        return self._limiting.keys()

    def nearly_used(self, namespace: str, pod: Mapping[str, Any] | None = None) -> NearlyUsed | None:
        """The first quota of a namespace, by name, that is nearly used.

        Args:
            namespace: the namespace.
            pod: only what this one counts against matters; absent: all that pods use.
        """
        for quota, resources in sorted(self._nearly.get(namespace, {}).items()):
            found = [text for resource, text in resources.items() if pod is None or uses(resource, pod)]
            if found:
                return NearlyUsed(quota, ", ".join(found))
        return None

    def changed(self, old: Quota | None, new: Quota | None) -> None:
        """A quota came, changed or went."""
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
