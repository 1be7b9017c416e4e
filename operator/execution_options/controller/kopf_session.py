"""kopf's settings, its connection to the API server, and its log.

kopf ends the whole operator on some temporary answers: a list or watch answered with 404 or 410, or an error in a
watch. This process runs within kopf, so the connection turns these answers into ones that kopf retries.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import kopf
import msgspec

from execution_options.api import decoding, names
from execution_options.kube.access import USER_AGENT
from execution_options.kube.store import INITIALIZING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from execution_options.kube.access import Access

logger = logging.getLogger(__name__)

_KOPF: Final = "kopf"
_RUNNING: Final = "kopf._core.reactor.running"
_ACTIVITIES: Final = "kopf.activities"
_REQUESTING: Final = ("kopf._cogs.clients.watching", "kopf._core.reactor.observation")
BACKOFFS: Final = (0.2, 1.0, 2.0)
"""Seconds between kopf's attempts at a request; the last pause is repeated for ever."""
PAGE: Final = 50
"""Objects in one answer; kopf holds the bodies of a whole page."""
IDLE_SECONDS: Final = 0.05
"""Seconds for which kopf holds a body after its handler is done."""
EXIT_SECONDS: Final = 0.5
"""Seconds for handlers in progress when the process is asked to stop."""
_EXPIRED: Final = (
    msgspec.json.encode(
        {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "list again"}}
    )
    + b"\n"
)
_ERROR: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"ERROR"')
_ATTEMPT: Final = re.compile(r"Request attempt #(\d+)")


class _Backoffs:
    """Endless pauses, because a restarted process would not do better."""

    def __iter__(self) -> Iterator[float]:
        yield from BACKOFFS
        while True:
            yield BACKOFFS[-1]


class _Stateless(kopf.DiffBaseStorage):
    """Remembers nothing of an object, which saves a copy: ``on.event`` compares nothing."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


def configure(settings: kopf.OperatorSettings) -> None:
    """Have kopf watch our kinds and do nothing else: no events, no peers, no other collections, no writes."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.connect_timeout = 5.0
    settings.networking.request_timeout = 30.0
    settings.networking.error_backoffs = _Backoffs()
    settings.watching.connect_timeout = 5.0
    settings.watching.server_timeout = 300  # sent as it is, and the API server takes whole numbers only
    settings.watching.client_timeout = 330.0
    settings.watching.chunk_size = PAGE
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.queueing.exit_timeout = EXIT_SECONDS
    # Nothing is ever stored, but the names that kopf reads must not be another operator's.
    settings.persistence.finalizer = f"{names.GROUP}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    settings.persistence.diffbase_storage = _Stateless()


def end_by(stop: asyncio.Event | None) -> None:
    """Have signals set ``stop`` instead of kopf's future, which fails at the second signal; ``None`` leaves it to kopf.

    To be called in kopf's event loop during its start-up. kopf sets its own signal handlers after that has begun, so
    these are set in the next turn of the loop.
    """
    if stop is not None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.call_soon(loop.add_signal_handler, number, stop.set)


def quiet() -> None:
    """Keep kopf's internals out of the log."""
    logging.getLogger(_KOPF).setLevel(max(logging.WARNING, logging.getLogger().level))
    for name in (_RUNNING, _ACTIVITIES):
        # They warn of cancelled handlers if the process is stopped during its start.
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in _REQUESTING:
        logging.getLogger(name).addFilter(_is_news)


def silence() -> None:
    """Keep all of kopf's requests out of the log: they fail from now on because the process stops."""
    for name in _REQUESTING:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _is_news(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    attempt = _ATTEMPT.match(message)
    # The API server asks for another attempt while it loads a new version of our kinds.
    return INITIALIZING not in message and (attempt is None or attempt[1] == "1")


async def connect(
    access: Access,
    advanced: Callable[[str], None] = lambda _: None,
    listed: Callable[[str], None] = lambda _: None,
) -> kopf.AiohttpSession:
    """A connection for kopf.

    Args:
        access: server and credentials.
        advanced: called with the URL's path when a request begins and when a part of its answer arrives.
        listed: called with the URL's path of each list that was answered.
    """

    class Answer(_Answer):
        on_advance = staticmethod(advanced)
        on_list = staticmethod(listed)

    async def begins(_: aiohttp.ClientSession, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        advanced(request.url.path)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(begins)
    authorization = await access.authorization.header()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver(), ssl=access.tls()),
        headers={"User-Agent": USER_AGENT} | ({"Authorization": authorization} if authorization else {}),
        proxy=access.proxy,
        response_class=Answer,
        trace_configs=[tracing],
    )
    return kopf.AiohttpSession(server=access.server, aiohttp_session=session)


class _Answer(aiohttp.ClientResponse):
    """An answer that kopf survives: nothing is nested too deeply to be decoded, and every error is retried."""

    on_advance: Callable[[str], None]
    on_list: Callable[[str], None]

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        watches = "watch" in self.url.query
        if self.status == 410 and watches:
            self.status, self.content = 200, _Lines(_Expired(), self._advance)  # type: ignore[assignment]
        elif self.status == 410:
            self.close()
            raise aiohttp.ClientPayloadError("the list took too long: it is started again")
        elif self.status == 404:
            # The kind is not served at the moment: kopf retries after 503.
            self.status = 503
        elif self.ok:
            self.content = _Lines(self.content, self._advance)  # type: ignore[assignment]
        return self

    def _advance(self) -> None:
        self.on_advance(self.url.path)

    async def json(self, **options: Any) -> Any:
        if not self.ok:
            return await super().json(**options)
        read = decoding.read(await self.read(), object)
        self.on_list(self.url.path)
        return read


class _Expired:
    """The content of a watch that has to start again from a list."""

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        yield _EXPIRED


class _Lines:
    """The lines of a watch, read by kopf as chunks."""

    def __init__(self, content: Any, came: Callable[[], None]) -> None:
        self._content = content
        self._came = came

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Whole lines: too deep ones are pruned, and every error becomes one after which kopf lists again."""
        pending = b""
        async for chunk in self._content.iter_chunked(size):
            self._came()
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                if _ERROR.match(line):
                    yield _EXPIRED
                else:
                    yield (decoding.pruned(line) if decoding.may_be_deep(line) else line) + b"\n"
        yield pending
