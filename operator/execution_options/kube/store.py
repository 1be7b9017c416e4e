"""A store that follows one collection of the API server by list and watch.

Every list replaces all objects, so that no deleted object stays in the store.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
import msgspec
from msgspec import Struct

from execution_options.api import decoding
from execution_options.kube.client import METADATA, METADATA_LIST, REQUEST_ERRORS, ApiError, Kube, error_of
from execution_options.kube.contents import Contents, HasMetadata, key_of
from execution_options.kube.listing import PAGE, ListMeta, Unreadable, page_of
from execution_options.logs import error_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import Key

logger = logging.getLogger(__name__)

WATCH_SECONDS: Final = (240, 300)
"""Shortest and longest time after which a watch is begun anew; random, so that watches do not end together."""
SILENCE: Final = 330.0
"""Seconds without any data after which a watch counts as dead. The API server sends a bookmark every minute."""
BACKOFF: Final = (0.2, 10.0)
"""First and longest pause after an error, in seconds; doubled each time, with jitter."""
INITIALIZING: Final = "storage is (re)initializing"
"""Message of the API server's 429 for a kind that was just installed, and for all kinds after its own start."""

T = TypeVar("T", bound=HasMetadata)


class _Event(Struct):
    type: str
    object: msgspec.Raw


class _Bookmark(Struct):
    """The object of a bookmark: only its version is set, and required fields of its kind may be missing."""

    metadata: ListMeta


class _GoneError(Exception):
    """The watch cannot continue from its resource version: list again."""


class Store(Contents[T]):
    """The objects of one collection, kept current.

    Args:
        kube: the connection.
        path: the collection, for example ``/apis/batch/v1/jobs``.
        kind: what an object is decoded into; only its fields are kept.
        label_selector: server-side selector; empty for all.
        field_selector: likewise.
        metadata_only: ask for ``PartialObjectMetadata`` (``kind`` must fit).
        resync: seconds after which the collection is listed again even if the watch works, in case an event was lost.
        optional: a collection that the API server does not know is empty, and is not logged.
        hidden: whether objects of an unknown collection may still exist, in a version that is served. If so, the known
            objects stay until the collection is served again or ``hidden`` returns false.
        missing_pause: seconds between two attempts to list a collection that the API server does not know and that is
            not hidden, if the caller uses :meth:`nudge`; absent: the longest pause after an error.
        keep: as for :class:`Contents`. Call :meth:`relist` when its answers change.
        page: how many objects are requested at once; fewer if they are large.
        prepare: as for :class:`Contents`.
        on_change: as for :class:`Contents`.
        on_unreadable: as for :class:`Contents`.
        on_deleted: as for :class:`Contents`.
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
        missing_pause: float | None = None,
        resync: float = math.inf,
        keep: Callable[[T], bool] = lambda _: True,
        page: int = PAGE,
        prepare: Callable[[T, T | None], T] | None = None,
        on_change: Callable[[T | None, T | None], None] | None = None,
        on_unreadable: Callable[[Unreadable], None] | None = None,
        on_deleted: Callable[[T], None] | None = None,
        on_state: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            path,
            kind,
            keep=keep,
            prepare=prepare,
            on_change=on_change,
            on_unreadable=on_unreadable,
            on_deleted=on_deleted,
        )
        self._kube = kube
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._params = {name: selector for name, selector in selectors.items() if selector}
        self._accept = (METADATA_LIST, METADATA) if metadata_only else ("application/json", "application/json")
        self._optional = optional
        self._hidden = hidden
        self._missing_pause = missing_pause
        self._resync = resync
        self._page = str(page)
        self._on_state = on_state
        self._nudged = asyncio.Event()
        self._hopeful = False
        """Whether the collection may be served in a moment: a nudge came, and few attempts have failed since."""
        self._listed = -math.inf
        """When the last list began, by the monotonic clock."""
        self._again = False
        """Whether :meth:`relist` was called."""
        self._response: aiohttp.ClientResponse | None = None
        self._progress = False
        """Whether the current watch has received an event."""
        self._state = (False, False, False)
        self.answered = asyncio.Event()
        """Set once the API server has answered, perhaps with a refusal; never cleared."""
        self.refused = False
        """Whether the API server last refused to list or watch the collection."""
        self.missing = False
        """Whether the API server does not know the collection (its CRD is not installed)."""

    def nudge(self) -> None:
        """Retry a collection that could not be read at once, because something may have changed."""
        self._nudged.set()

    def relist(self) -> None:
        """List again soon. Several calls until then cause one list."""
        self._again = True
        if self._response is not None:
            self._response.close()

    async def run(self) -> None:
        """Follow the collection until cancelled; errors are retried with growing pauses."""
        loop = asyncio.get_running_loop()
        pause, logged = BACKOFF[0], ""
        while True:
            began, self._progress = loop.time(), False
            self._nudged.clear()
            problem = await self._follow()
            # A list alone is no progress: a watch that ends at once must not cause one list after the other.
            if self._progress or loop.time() - began >= BACKOFF[1]:
                pause = BACKOFF[0]
                if problem is None:
                    continue
            if problem and problem != logged:
                logger.warning("%s: %s; trying again in %.1f s", self._path, problem, pause)
            logged = problem or ""
            pause = await self._rest(pause)

    async def _rest(self, pause: float) -> float:
        """Wait ``pause`` seconds or until a nudge; return the pause after the next attempt."""
        # After a nudge it may take a moment until the collection can really be read.
        is_absent = self.missing and not self._hopeful and not self._hidden()
        seconds = self._missing_pause if is_absent and self._missing_pause is not None else pause
        try:
            async with asyncio.timeout(seconds * random.uniform(0.5, 1.0)):  # noqa: S311 - jitter
                await self._nudged.wait()
        except TimeoutError:
            self._hopeful = self._hopeful and pause < BACKOFF[1]
            return min(pause * 2, BACKOFF[1])
        self._hopeful = True
        return BACKOFF[0]

    async def _follow(self) -> str | None:
        """List if needed, then watch; return what went wrong (empty: not worth a log line), or ``None``."""
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
                return ""  # relist() ended the watch
            self._version = ""
            status = error.status if isinstance(error, ApiError) else 0
            missing, hidden = self.missing, status == 404 and self._optional and self._hidden()
            if status == 404 and self._optional and not hidden:
                self._replace({})
            self._set_state(missing=status == 404, refused=status == 403)
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
        self._set_state(missing=False, refused=False)
        self.answered.set()

    def _set_state(self, *, missing: bool, refused: bool) -> None:
        before, self._state = self._state, (self.synced.is_set(), missing, refused)
        self.missing, self.refused = missing, refused
        if self._state != before and self._on_state is not None:
            self._on_state()

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
                        self._receive(decoding.read(line, _Event))
                        if self._prepare is not None:
                            await asyncio.sleep(0)

    def _receive(self, event: _Event) -> None:
        if event.type == "ERROR":
            error = error_of(0, bytes(event.object))
            logger.info("%s: the watch ended: %s", self._path, error.message)
            raise _GoneError
        self._progress = True
        if event.type == "BOOKMARK":
            self._version = decoding.read(event.object, _Bookmark).metadata.resource_version
        else:
            self._apply(event.object, deleted=event.type == "DELETED")
