"""A store that lists by itself, but gets changes from a caller who watches."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Raw

from execution_options.kube.contents import HasMetadata, is_old, key_of
from execution_options.kube.store import Store

if TYPE_CHECKING:
    from execution_options.api.keys import Key

T = TypeVar("T", bound=HasMetadata)


class Mirror(Store[T]):
    """Objects of one collection, by namespace and name; arguments as for :class:`Store`.

    It lists at the beginning, after ``resync`` seconds, and after :meth:`relist`. The caller must call that after each
    new beginning of its watch, which does not report what was deleted in between.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._handed: dict[Key, str] | None = None
        """Versions of the objects that were handed over during the current list; ``None`` if there is none."""
        self._due = asyncio.Event()

    def hand(self, body: dict[str, Any] | bytes, *, deleted: bool = False) -> None:
        """Apply a change. Changes of one object must come in order; repeated ones do no harm.

        Args:
            body: the object as it is now, or as it was when it was deleted; plain data or JSON.
            deleted: whether it was deleted.
        """
        item = self._decode(Raw(body if isinstance(body, bytes) else msgspec.json.encode(body)))
        key, version = key_of(item.metadata), item.metadata.resource_version
        known = self.items.get(key)
        if is_old(version, self._version) or (known is not None and is_old(version, known.metadata.resource_version)):
            return
        if self._handed is not None:
            self._handed[key] = version
        if not deleted:
            self._put(item)
            return
        self.unreadable.pop(key, None)
        if self.items.pop(key, None) is not None:
            self._changed(known, None)

    def relist(self) -> None:
        """List again soon. Several calls until then cause one list."""
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
        # A list shows all changes up to its version; objects handed over with a later one are newer.
        for key, version in (self._handed or {}).items():
            if not is_old(version, self._version):
                fresh.pop(key, None)
                if key in self.items:
                    fresh[key] = self.items[key]
        super()._replace(fresh)

    async def _watch(self) -> None:
        """Wait until a list is due; the caller hands over changes meanwhile."""
        left = None if math.isinf(self._resync) else max(0.0, self._listed + self._resync - time.monotonic())
        try:
            async with asyncio.timeout(left):
                await self._due.wait()
        except TimeoutError:
            pass
        self._progress = True  # no failure: the next list need not wait
