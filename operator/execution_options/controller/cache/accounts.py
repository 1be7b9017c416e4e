"""The service accounts of the cluster, by the options that own them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.meta import PartialObject
from execution_options.kube.client import path_of
from execution_options.kube.store import Store
from execution_options.multimap import Members

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import Key
    from execution_options.api.meta import ObjectMeta
    from execution_options.kube.client import Kube


class ServiceAccounts:
    """Follows the metadata of service accounts.

    Args:
        changed: called with the old and the new state of every account that changes.
    """

    def __init__(self, kube: Kube, changed: Callable[[PartialObject | None, PartialObject | None], None]) -> None:
        path = path_of("", "v1", "serviceaccounts")
        self.store = Store(kube, path, PartialObject, metadata_only=True, on_change=self._changed)
        self._on_change = changed
        self._by_owner: Members[str, Key] = Members()

    def get(self, namespace: str, name: str) -> ObjectMeta | None:
        """The metadata of an account, or ``None``."""
        found = self.store.get(namespace, name)
        return None if found is None else found.metadata

    def of(self, uid: str) -> dict[Key, ObjectMeta]:
        """The accounts that an object owns."""
        return {key: self.store.items[key].metadata for key in self._by_owner.of(uid)}

    def _changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        for item, add in ((old, False), (new, True)):
            if item is not None:
                metadata = item.metadata
                for owner in metadata.owner_references or ():
                    self._by_owner.change(owner.uid, (metadata.namespace, metadata.name), add=add)
        self._on_change(old, new)
