"""Objects of one collection in memory, and callbacks for what changes.

Objects are decoded into a typed subset: memory is bounded by the fields that are kept.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from execution_options.kube.listing import Unreadable, item_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from msgspec import Raw

    from execution_options.api.keys import Key

logger = logging.getLogger(__name__)


class Identity(Protocol):
    """The metadata that is needed of an object."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class HasMetadata(Protocol):
    """An object with metadata."""

    @property
    def metadata(self) -> Identity:
        """Its metadata."""


T = TypeVar("T", bound=HasMetadata)


class Contents(Generic[T]):
    """Objects of one collection, by namespace and name.

    Args:
        path: the collection, for log messages.
        kind: what an object is decoded into.
        keep: whether an object is of interest; others are treated as absent.
        prepare: converts a decoded object before it is kept. It is called with the object and the one it replaces
            (``None``: there is none). It may take some milliseconds: other tasks run in between, and an object that is
            listed again in the same version is not prepared again.
        on_change: called with the old and the new object (``None``: absent) after every change.
        on_unreadable: called with each object that cannot be decoded. If an earlier version of it could be decoded,
            that one stays until the object is deleted.
        on_deleted: called with the last state of an object that was deleted, or left the selection, before
            ``on_change``. It is not called if a list shows that the object is gone.
    """

    def __init__(
        self,
        path: str,
        kind: type[T],
        *,
        keep: Callable[[T], bool],
        prepare: Callable[[T, T | None], T] | None,
        on_change: Callable[[T | None, T | None], None] | None,
        on_unreadable: Callable[[Unreadable], None] | None,
        on_deleted: Callable[[T], None] | None,
    ) -> None:
        self._path = path
        self._kind = kind
        self._keep = keep
        self._prepare = prepare
        self._on_change = on_change
        self._on_unreadable = on_unreadable
        self._on_deleted = on_deleted
        self._version = ""
        """Resource version of the collection up to which the objects are current; empty if they must be listed."""
        self.items: dict[Key, T] = {}
        self.unreadable: dict[Key, str] = {}
        """Objects that exist but cannot be decoded → why."""
        self.synced = asyncio.Event()
        """Set once the collection was listed; never cleared."""

    def get(self, namespace: str, name: str) -> T | None:
        """Return the object, or ``None``."""
        return self.items.get((namespace, name))

    def _replace(self, fresh: dict[Key, T]) -> None:
        """Replace all objects by those of a list."""
        before, self.items = self.items, fresh
        for key, old in before.items():
            new = fresh.get(key)
            if new is None or new.metadata.uid != old.metadata.uid:
                self._changed(old, None)
        for key, new in fresh.items():
            known = before.get(key)
            if known is None or known.metadata.uid != new.metadata.uid:
                self._changed(None, new)
            elif known.metadata.resource_version != new.metadata.resource_version:
                self._changed(known, new)
        self.synced.set()

    async def _prepared(self, item: T) -> T:
        """Prepare a listed object, unless the same version of it is known."""
        if self._prepare is None:
            return item
        known = self.items.get(key_of(item.metadata))
        if known is not None and (known.metadata.uid, known.metadata.resource_version) == (
            item.metadata.uid,
            item.metadata.resource_version,
        ):
            return known
        await asyncio.sleep(0)
        return self._prepare(item, known)

    def _decode(self, data: Raw) -> T | Unreadable:
        """Decode an object; return why if that fails."""
        unreadable: list[Unreadable] = []
        item = item_of(data, self._kind, unreadable.append)
        return unreadable[0] if item is None else item

    def _apply(self, data: Raw, *, deleted: bool) -> None:
        """Apply one event of a watch; ignore it if a list or an earlier event was newer.

        Args:
            data: the object as it is now, or as it was when it was deleted.
            deleted: whether it was deleted, or left the selection.
        """
        item = self._decode(data)
        if is_old(item.metadata.resource_version, self._version):
            return
        self._version = item.metadata.resource_version
        if not deleted:
            self._put(item)
            return
        key = key_of(item.metadata)
        self.unreadable.pop(key, None)
        last = None if isinstance(item, Unreadable) else item
        known = self.items.pop(key, last if last is not None and self._keep(last) else None)
        if known is not None:
            if self._on_deleted is not None:
                self._on_deleted(last or known)
            self._changed(known, None)

    def _put(self, item: T | Unreadable) -> None:
        """Add or replace an object that exists."""
        key = key_of(item.metadata)
        self.unreadable.pop(key, None)
        known = self.items.get(key)
        if isinstance(item, Unreadable):
            self._leave_out(item)
        elif not self._keep(item):
            if self.items.pop(key, None) is not None:
                self._changed(known, None)
        else:
            item = self.items[key] = item if self._prepare is None else self._prepare(item, known)
            self._changed(known, item)

    def _leave_out(self, one: Unreadable) -> None:
        key = key_of(one.metadata)
        logger.warning("%s: %s/%s is left out, it cannot be read: %s", self._path, *key, one.problem)
        self.unreadable[key] = one.problem
        if self._on_unreadable is not None:
            self._on_unreadable(one)

    def _changed(self, old: T | None, new: T | None) -> None:
        if self._on_change is not None:
            self._on_change(old, new)


def key_of(metadata: Identity) -> Key:
    """Return namespace and name."""
    return metadata.namespace, metadata.name


def is_old(version: str, last: str) -> bool:
    """Whether an event repeats a state that is known, so that it must not undo what has changed since.

    Resource versions of one collection are numbers that grow:
    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions

    Args:
        version: resource version of the event.
        last: resource version of the known state; empty if there is none.
    """
    return version.isdecimal() and last.isdecimal() and int(version) <= int(last)
