"""A store that follows one collection of the API server by list and watch.

The whole store is replaced on every list, so that nothing that is gone stays in it; what changed is
told to a listener one object at a time. Objects are decoded into a typed subset: memory is bounded by
the fields that are kept.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import aiohttp
import msgspec
from msgspec import Struct

from execution_options.api import decoding
from execution_options.kube.client import METADATA, METADATA_LIST, REQUEST_ERRORS, ApiError, Kube, error_of
from execution_options.kube.listing import PAGE, ListMeta, Unreadable, item_of, page_of
from execution_options.logs import error_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import Key

logger = logging.getLogger(__name__)

WATCH_SECONDS: Final = (240, 300)
SILENCE: Final = 330.0
"""Seconds without a word (bookmarks come every minute) after which a watch is taken for dead."""
BACKOFF: Final = (0.2, 10.0)
"""First and longest pause in seconds after an error; doubled each time, with jitter."""
INITIALIZING: Final = "storage is (re)initializing"
"""What the API server says, with 429, of a kind that was just installed, and of all after its own start."""


class Identity(Protocol):
    """What a store needs to know of an object."""

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


class _Event(Struct):
    type: str
    object: msgspec.Raw


class _Bookmark(Struct):
    """All that is in the object of a bookmark; the fields of its kind are empty, whatever they must be otherwise."""

    metadata: ListMeta


class _GoneError(Exception):
    """The watch cannot go on from where it was: list again."""


class Store(Generic[T]):
    """Objects of one collection, by namespace and name.

    Args:
        kube: the connection.
        path: the collection, for example ``/apis/batch/v1/jobs``.
        kind: what an object is decoded into; only its fields are kept.
        label_selector: server-side selector; empty for all.
        field_selector: likewise.
        metadata_only: ask for ``PartialObjectMetadata`` (``kind`` must fit).
        resync: seconds after which the collection is listed again although the watch goes on well, for whom it would be
            bad never to learn of an event that got lost on its way.
        optional: a collection that the API server does not know is empty, and nothing to speak of.
        hidden: whether objects of such a collection may still be there, in a version that is served: what is known of
            them stays until they are seen again, or are not hidden any more.
        patience: seconds between two looks for a collection that the API server does not know and that is not hidden,
            where :meth:`nudge` will say when it may; otherwise the longest pause after any error.
        keep: whether an object is of interest; all others are treated as if they were not there. Call :meth:`relist`
            where it would answer differently than before.
        page: how many objects are asked for at once, fewer where they are large.
        prepare: what becomes of an object that was decoded, before it is kept; called with what was known of it
            (``None``: nothing), too. It may take some milliseconds: others have their turn in between, and what is
            listed again in the same version is not prepared again.
        on_change: called with the old and the new object (``None``: not there) after every change.
        on_unreadable: called with each object that cannot be decoded. One that could be decoded before stays in the
            store as it was, as long as it exists.
        on_deleted: called with an object as it was when it was deleted, or left the selection, before ``on_change``;
            not where it is only found to be gone.
        on_state: called after :attr:`synced`, :attr:`missing` or :attr:`refused` has changed.
    """

    def __init__(
        self,
        kube: Kube,
        path: str,
        kind: type[T],
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        optional: bool = False,
        hidden: Callable[[], bool] = lambda: False,
        patience: float | None = None,
        resync: float = math.inf,
        keep: Callable[[T], bool] = lambda _: True,
        page: int = PAGE,
        prepare: Callable[[T, T | None], T] | None = None,
        on_change: Callable[[T | None, T | None], None] | None = None,
        on_unreadable: Callable[[Unreadable], None] | None = None,
        on_deleted: Callable[[T], None] | None = None,
        on_state: Callable[[], None] | None = None,
    ) -> None:
        self._kube = kube
        self._path = path
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._params = {name: selector for name, selector in selectors.items() if selector}
        self._accept = (METADATA_LIST, METADATA) if metadata_only else ("application/json", "application/json")
        self._kind = kind
        self._optional = optional
        self._hidden = hidden
        self._patience = patience
        self._nudged = asyncio.Event()
        self._hopeful = False
        self._resync = resync
        self._listed = -math.inf
        self._keep = keep
        self._again = False
        self._response: aiohttp.ClientResponse | None = None
        self._page = str(page)
        self._prepare = prepare
        self._on_change = on_change
        self._on_unreadable = on_unreadable
        self._on_deleted = on_deleted
        self._on_state = on_state
        self._version = ""
        self._told = False
        self.items: dict[Key, T] = {}
        self.unreadable: dict[Key, str] = {}
        """Why objects that exist cannot be decoded."""
        self.synced = asyncio.Event()
        """Set once the collection was listed; never cleared."""
        self.answered = asyncio.Event()
        """Set once the API server has answered, perhaps with a refusal; never cleared."""
        self.refused = False
        """Whether the API server said last that this must not be read."""
        self._state = (False, False, False)
        self.missing = False
        """Whether the API server does not know the collection (its CRD is not installed)."""

    def get(self, namespace: str, name: str) -> T | None:
        """The object, or ``None``."""
        return self.items.get((namespace, name))

    def nudge(self) -> None:
        """Look now for what could not be read until now; something may have changed."""
        self._nudged.set()

    def relist(self) -> None:
        """List again in a moment, however often this is called until then."""
        self._again = True
        if self._response is not None:
            self._response.close()

    async def run(self) -> None:
        """Follow the collection until cancelled; errors are retried with growing pauses."""
        loop = asyncio.get_running_loop()
        pause, said = BACKOFF[0], ""
        while True:
            began, self._told = loop.time(), False
            self._nudged.clear()
            problem = await self._follow()
            # A list alone is no progress: a watch that ends at once must not make for one list after the other.
            if self._told or loop.time() - began >= BACKOFF[1]:
                pause = BACKOFF[0]
                if problem is None:
                    continue
            if problem and problem != said:
                logger.warning("%s: %s; trying again in %.1f s", self._path, problem, pause)
            said = problem or ""
            pause = await self._rest(pause)

    async def _rest(self, pause: float) -> float:
        """Wait before the next attempt, ``pause`` seconds or until a nudge; the pause after that attempt."""
        # After a nudge it may be a moment before the collection can really be read.
        known_missing = self.missing and not self._hopeful and not self._hidden()
        patience = self._patience if known_missing else None
        seconds = pause if patience is None else patience
        try:
            async with asyncio.timeout(seconds * random.uniform(0.5, 1.0)):  # noqa: S311 - jitter
                await self._nudged.wait()
        except TimeoutError:
            self._hopeful = self._hopeful and pause < BACKOFF[1]
            return min(pause * 2, BACKOFF[1])
        self._hopeful = True
        return BACKOFF[0]

    async def _follow(self) -> str | None:
        """List where that is needed, and watch; what went wrong (empty: nothing to speak of), or ``None``."""
        try:
            if self._again or not self._version or time.monotonic() >= self._listed + self._resync:
                self._again = False
                await self._relist()
            if not self._again:
                await self._watch()
        except _GoneError:
            self._version = ""
            return ""
        except (msgspec.MsgspecError, *REQUEST_ERRORS) as error:
            if self._again and isinstance(error, aiohttp.ClientError):
                return ""  # the watch was ended for it
            self._version = ""
            status = error.status if isinstance(error, ApiError) else 0
            missing, hidden = self.missing, status == 404 and self._optional and self._hidden()
            if status == 404 and self._optional and not hidden:
                self._replace({})
            self._settle(missing=status == 404, refused=status == 403)
            if status:
                self.answered.set()
            if hidden and self.items:
                return f"not served any more: {len(self.items)} objects are kept as they were seen last"
            if (self.missing and self._optional) or (status == 429 and INITIALIZING in str(error)):
                return ""
            return "" if missing and self.missing else error_text(error)
        return None

    async def _relist(self) -> None:
        fresh: dict[Key, T] = {}
        unreadable: list[Unreadable] = []
        token = ""
        self._listed = time.monotonic()
        while True:
            params = self._params | {"limit": self._page} | ({"continue": token} if token else {})
            data = await self._kube.get(self._path, params=params, accept=self._accept[0], seconds=30)
            page = page_of(data, self._kind, unreadable.append)
            for item in page.items or ():
                if self._keep(item):
                    fresh[key_of(item.metadata)] = await self._prepared(item)
            token = page.metadata.continue_
            if not token:
                break
        self._version = page.metadata.resource_version
        self.unreadable.clear()
        for one in unreadable:
            self._leave_out(one)
            known = self.items.get(key := key_of(one.metadata))
            if known is not None and known.metadata.uid == one.metadata.uid:
                fresh[key] = known
        self._replace(fresh)
        self._settle(missing=False, refused=False)
        self.answered.set()

    async def _prepared(self, item: T) -> T:
        """A listed object, as it is known already or prepared now."""
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

    def _settle(self, *, missing: bool, refused: bool) -> None:
        before, self._state = self._state, (self.synced.is_set(), missing, refused)
        self.missing, self.refused = missing, refused
        if self._state != before and self._on_state is not None:
            self._on_state()

    def _leave_out(self, one: Unreadable) -> None:
        key = key_of(one.metadata)
        logger.warning("%s: %s/%s is left out, it cannot be read: %s", self._path, *key, one.problem)
        self.unreadable[key] = one.problem
        if self._on_unreadable is not None:
            self._on_unreadable(one)

    def _replace(self, fresh: dict[Key, T]) -> None:
        before, self.items = self.items, fresh
        for key, old in before.items():
            new = fresh.get(key)
            if new is None or new.metadata.uid != old.metadata.uid:
                self._tell(old, None)
        for key, new in fresh.items():
            known = before.get(key)
            if known is None or known.metadata.uid != new.metadata.uid:
                self._tell(None, new)
            elif known.metadata.resource_version != new.metadata.resource_version:
                self._tell(known, new)
        self.synced.set()

    async def _watch(self) -> None:
        params = self._params | {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(min(random.randint(*WATCH_SECONDS), max(1, self._resync)))),  # noqa: S311 - jitter
        }
        stream = await self._kube.stream(self._path, params=params, accept=self._accept[1], silence=SILENCE)
        async with stream as response:
            self._response = response
            if response.status >= 400:
                error = error_of(response.status, await response.read())
                if error.status == 410:
                    raise _GoneError from error
                raise error
            pending = b""
            async for chunk in response.content.iter_any():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if line:
                        self._apply(decoding.read(line, _Event))
                        if self._prepare is not None:
                            await asyncio.sleep(0)

    def _apply(self, event: _Event) -> None:
        if event.type == "ERROR":
            error = error_of(0, bytes(event.object))
            logger.info("%s: the watch ended: %s", self._path, error.message)
            raise _GoneError
        self._told = True
        if event.type == "BOOKMARK":
            self._version = decoding.read(event.object, _Bookmark).metadata.resource_version
            return
        unreadable: list[Unreadable] = []
        item = item_of(event.object, self._kind, unreadable.append)
        metadata: Identity = unreadable[0].metadata if item is None else item.metadata
        if is_old(metadata.resource_version, self._version):
            return
        self._version = metadata.resource_version
        key = key_of(metadata)
        self.unreadable.pop(key, None)
        if event.type == "DELETED":
            known = self.items.pop(key, item if item is not None and self._keep(item) else None)
            if known is not None:
                if self._on_deleted is not None:
                    self._on_deleted(item or known)
                self._tell(known, None)
        elif item is None:
            self._leave_out(unreadable[0])
        elif not self._keep(item):
            if (known := self.items.pop(key, None)) is not None:
                self._tell(known, None)
        else:
            old = self.items.get(key)
            item = self.items[key] = item if self._prepare is None else self._prepare(item, old)
            self._tell(old, item)

    def _tell(self, old: T | None, new: T | None) -> None:
        if self._on_change is not None:
            self._on_change(old, new)


def key_of(metadata: Identity) -> Key:
    """The key of an object in a store."""
    return metadata.namespace, metadata.name


def is_old(version: str, last: str) -> bool:
    """Whether an event is told again, which must not bring back what has changed or gone since.

    Resource versions of one collection are numbers that grow:
    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    """
    return version.isdecimal() and last.isdecimal() and int(version) <= int(last)
