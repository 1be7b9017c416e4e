"""kopf, embedded: the control loop of our own kinds.

It runs in a thread with an event loop of its own, because it cancels every other task of its loop when it
ends. Its handlers only say what changed: nothing that fails in them would be tried again, and any other
kind of handler would put finalizers or annotations on objects that people keep in git.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec
from msgspec import Raw, Struct, field, structs

from execution_options.api import decoding, names
from execution_options.controller.objects import OptionsKey
from execution_options.controller.slim_kopf import kopf
from execution_options.kube.access import USER_AGENT, find
from execution_options.kube.client import METADATA, METADATA_LIST
from execution_options.kube.store import INITIALIZING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from execution_options.watchdog import Watchdog

logger = logging.getLogger(__name__)

_KOPF: Final = "kopf"
_RUNNING: Final = "kopf._core.reactor.running"
STOP_SECONDS: Final = 1.0
"""That kopf has to end. Told so while it begins, it takes up to 6 s for requests by a connection that it has closed.

It writes nothing, so that whoever ends need not wait for it; its thread goes with the process.
"""

WATCH_SECONDS: Final = 150.0
"""For how long a watch of kopf's may neither hear anything nor be begun anew. Bookmarks come every minute, and kopf
gives up a watch after 70 s without a word, and any other request after 30 s."""


def settings() -> kopf.OperatorSettings:
    """kopf watches our kinds and does nothing else: no events, no peers, no other collections."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.networking.connect_timeout = 5.0
    chosen.networking.request_timeout = 30.0
    chosen.networking.error_backoffs = (0.2, 1, 2, 5)
    chosen.watching.connect_timeout = 5.0
    chosen.watching.server_timeout = 300  # sent as it is, and the API server takes whole numbers only
    chosen.watching.client_timeout = 330.0
    # Nothing is ever stored, but what kopf would look for must not be another operator's.
    chosen.persistence.finalizer = f"{names.GROUP}/kopf"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=names.GROUP)
    return chosen


def registry(changed: Callable[[OptionsKey, str | None], None], connection: Callable[[], Any]) -> kopf.OperatorRegistry:
    """Handlers that tell ``changed`` the key of an object and its version (``None``: it is gone).

    Args:
        changed: is called in kopf's thread.
        connection: a coroutine function that gives kopf its connection, called again when it is refused.
    """
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return await connection()  # type: ignore[no-any-return]

    for kind, plural in names.PLURALS.items():

        async def told(event: kopf.RawEvent, kind: str = kind, **_: Any) -> None:
            metadata: Any = event["object"]["metadata"]
            key = OptionsKey(kind, metadata.get("namespace", ""), metadata["name"])
            changed(key, None if event["type"] == "DELETED" else metadata["resourceVersion"])

        kopf.on.event(names.GROUP, names.VERSION, plural, registry=made)(told)
    return made


async def connection_of(
    kubeconfig: Path | None, context: str | None, advanced: Callable[[str], None] = lambda _: None
) -> kopf.AiohttpSession:
    """The connection that a kubeconfig, or the service account of this pod, gives.

    Args:
        kubeconfig: as for ``Kube.connect``.
        context: as for ``Kube.connect``.
        advanced: is told the URL's path of each request that begins, and of each answer of which something comes.
    """

    class Answer(_Answer):
        told = staticmethod(advanced)

    async def begins(_: aiohttp.ClientSession, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        advanced(request.url.path)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(begins)
    access = await find(kubeconfig, context)
    authorization = await access.authorization.header()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver(), ssl=access.tls()),
        headers={"User-Agent": USER_AGENT} | ({"Authorization": authorization} if authorization else {}),
        proxy=access.proxy,
        response_class=Answer,
        trace_configs=[tracing],
        middlewares=[_metadata_only],
    )
    return kopf.AiohttpSession(server=access.server, aiohttp_session=session)


class _Told(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What kopf is told of an object, and what the key of a change is made of."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    continue_: str = field(name="continue", default="")


class _Item(Struct, frozen=True):
    metadata: _Told = _Told()


class _List(Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    metadata: _Told
    items: list[_Item] | None = None
    """``null`` where there are none and only metadata is asked for."""


class _Event(Struct, frozen=True):
    type: str
    object: Raw


class _Answer(aiohttp.ClientResponse):
    """An answer of which kopf reads only what tells objects and their versions apart.

    It keeps what it is given as it is, several times as large in memory; and it ends where that cannot be decoded.
    """

    told: Callable[[str], None]

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        if self.ok:
            self.content = _Lines(self.content, lambda: self.told(self.url.path))  # type: ignore[assignment]
        return self

    async def json(self, **options: Any) -> Any:
        if not self.ok:
            return await super().json(**options)
        body = await self.read()
        try:
            found = decoding.read(body, _List)
            return msgspec.to_builtins(structs.replace(found, items=found.items or []))
        except decoding.UnreadableError:
            return decoding.read(body, object)  # it is no list of objects


class _Lines:
    """The lines of a watch, in the way in which kopf reads them."""

    def __init__(self, content: aiohttp.StreamReader, came: Callable[[], None]) -> None:
        self._content = content
        self._came = came

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Whole lines, each with no more of its object than is needed."""
        pending = b""
        async for chunk in self._content.iter_chunked(size):
            self._came()
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                yield _slim(line) + b"\n"
        yield pending


def _slim(line: bytes) -> bytes:
    event = decoding.read(line, _Event)
    if event.type == "ERROR":
        return line
    return msgspec.json.encode({"type": event.type, "object": decoding.read(event.object, _Item)})


async def _metadata_only(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Have objects of our kinds sent without what kopf does not tell of them."""
    if request.url.path.rpartition("/")[2] in names.PLURALS.values():
        request.headers["Accept"] = METADATA if "watch" in request.url.query else METADATA_LIST
    return await send(request)


def quiet() -> None:
    """Keep from the log what happens inside kopf and not to anybody's object."""
    logging.getLogger(_KOPF).setLevel(max(logging.WARNING, logging.getLogger().level))
    # It warns that it cannot handle signals in its thread, where it is not to handle any.
    logging.getLogger(_RUNNING).setLevel(logging.ERROR)
    # It asks again in a second, and calls that an error, while the API server takes in a new version of our kinds.
    logging.getLogger("kopf._cogs.clients.watching").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return INITIALIZING not in record.getMessage()


class KopfLoop:
    """One run of kopf.

    Args:
        changed: is told of changes, in the event loop that starts this.
        kubeconfig: as for ``Kube.connect``.
        context: as for ``Kube.connect``.
        watchdog: is told whether its watches go on.
    """

    def __init__(
        self,
        changed: Callable[[OptionsKey, str | None], object],
        kubeconfig: Path | None,
        context: str | None,
        watchdog: Watchdog,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        self._kubeconfig = kubeconfig
        self._context = context
        self._watches = {
            plural: watchdog.expect(f"kopf's watch of {plural}", WATCH_SECONDS) for plural in names.PLURALS.values()
        }
        self._stop = threading.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    async def run(self) -> None:
        """Run until cancelled; returns early only where kopf ended by itself, which it says why."""
        quiet()
        self._thread.start()
        try:
            with contextlib.ExitStack() as expected:
                for watch in self._watches.values():
                    expected.enter_context(watch)
                await self._ended.wait()
        finally:
            # What fails from now on fails because it is told to end.
            for name in (_KOPF, _RUNNING):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
            self._stop.set()
            # Before Python 3.12 wait_for() may pass over a cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._ended.wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except Exception:
            logger.exception("kopf ended")
        finally:
            # The loop may be gone where stopping took too long.
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._ended.set)

    async def _operate(self) -> None:
        try:
            await kopf.operator(
                registry=registry(self._tell, self._connect),
                settings=settings(),
                # No peer is told it, but without it kopf looks up its user's name, and in a container there is none.
                identity=names.GROUP,  # type: ignore[arg-type]
                stop_flag=self._stop,
                clusterwide=True,
            )
        finally:
            # A thread of kopf's waits for the flag, and this event loop waits for that thread.
            self._stop.set()

    async def _connect(self) -> kopf.AiohttpSession:
        return await connection_of(self._kubeconfig, self._context, self._advanced)

    def _advanced(self, path: str) -> None:
        """A request for a path begins, or something comes of its answer."""
        watch = self._watches.get(path.rpartition("/")[2])
        if watch is not None:
            watch.advance()

    def _tell(self, key: OptionsKey, version: str | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed, key, version)
