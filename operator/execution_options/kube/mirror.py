"""A store that lists by itself, and is handed the changes by somebody else who watches."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Raw

from execution_options.kube.listing import Unreadable, item_of
from execution_options.kube.store import HasMetadata, Identity, Store, is_old, key_of

if TYPE_CHECKING:
    from execution_options.api.keys import Key

T = TypeVar("T", bound=HasMetadata)


class Mirror(Store[T]):
    """Objects of one collection, by namespace and name; arguments as for :class:`Store`.

    It lists when it begins, after ``resync`` seconds, and after :meth:`Store.relist`, which whoever watches must call
    once a watch of theirs has begun anew: what was deleted in between is told by nobody.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._handed: dict[Key, str] | None = None
        """Versions of the objects that were handed over since the list began that is under way."""
        self._due = asyncio.Event()

    def hand(self, body: dict[str, Any], *, deleted: bool) -> None:
        """Take over an object as it is now, or as it was when it was deleted.

        Changes of one object come in their order, those of different objects in any, and some come twice.
        """
        unreadable: list[Unreadable] = []
        item = item_of(Raw(msgspec.json.encode(body)), self._kind, unreadable.append)
        metadata: Identity = unreadable[0].metadata if item is None else item.metadata
        key, version = key_of(metadata), metadata.resource_version
        known = self.items.get(key)
        if is_old(version, self._version) or (known is not None and is_old(version, known.metadata.resource_version)):
            return
        self.unreadable.pop(key, None)
        if self._handed is not None:
            self._handed[key] = version
        if deleted:
            if self.items.pop(key, None) is not None:
                self._tell(known, None)
        elif item is None:
            self._leave_out(unreadable[0])
        else:
            self.items[key] = item = item if self._prepare is None else self._prepare(item, known)
            self._tell(known, item)

    def relist(self) -> None:
        """List again in a moment, however often this is called until then."""
        super().relist()
        self._due.set()

    async def _relist(self) -> None:
        self._handed = {}
        self._due.clear()
        try:
            await super()._relist()
        finally:
            self._handed = None

    def _replace(self, fresh: dict[Key, T]) -> None:
        # A list shows all changes up to its version; what was handed over with a later one is newer.
        for key, version in (self._handed or {}).items():
            if not is_old(version, self._version):
                fresh.pop(key, None)
                if key in self.items:
                    fresh[key] = self.items[key]
        super()._replace(fresh)

    async def _watch(self) -> None:
        """Wait until a list is due; changes are handed over meanwhile."""
        left = None if math.isinf(self._resync) else max(0.0, self._listed + self._resync - time.monotonic())
        try:
            async with asyncio.timeout(left):
                await self._due.wait()
        except TimeoutError:
            pass
        self._told = True  # no failure: the list that follows need not wait
