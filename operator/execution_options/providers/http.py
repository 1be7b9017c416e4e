"""HTTP requests to services: bounded in time and size, without redirects or cookies."""

from __future__ import annotations

import copy
import email.utils
import ssl
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.resolver import AsyncResolver
from msgspec import Struct
from yarl import URL

from execution_options.http_errors import UNANSWERED
from execution_options.providers.answer import Answer, ambiguous, permanent, temporary
from execution_options.providers.outbound import ForbiddenAddressError
from execution_options.proxies import Proxies, ProxyError
from execution_options.tls import client_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import SimpleNamespace

    from aiohappyeyeballs import SocketFactoryType
    from aiohttp.abc import AbstractResolver

    from execution_options.providers.outbound import Outbound

MAX_ANSWER: Final = 16 * 1024
"""Most bytes of an answer that are read."""
MAX_WAIT: Final = 3600.0
"""Longest Retry-After that is respected, in seconds."""
MAX_CONTEXTS: Final = 64
"""Most TLS contexts that are cached: making one takes longer than sending a message."""


class Reply(Struct, frozen=True):
    """An answer to a request. ``body`` has at most ``MAX_ANSWER`` bytes."""

    status: int
    headers: dict[str, str]
    """Values by names in lower case."""
    body: str

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait (RFC 9110, 10.2.3)."""
        text = self.headers.get("retry-after", "").strip()
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = (email.utils.parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
            except (ValueError, TypeError):
                return None
        return min(max(seconds, 0.0), MAX_WAIT) if seconds == seconds else None


class UnansweredError(Exception):
    """There was no usable answer; ``answer`` says what that means."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class Http:
    """One pool of connections for all channels.

    Args:
        outbound: decides which addresses may be connected to.
        seconds: time-out of one request, in total.
        proxies: the proxies that the operator's environment names; none if absent.
    """

    def __init__(self, outbound: Outbound, seconds: float, proxies: Proxies | None = None) -> None:
        self._outbound = outbound
        self._seconds = seconds
        self._proxies = proxies or Proxies()
        self._named = ""
        # Whoever runs the operator chose its proxy, which is usually internal: only its address is not checked.
        self._names = (outbound.resolver(), AsyncResolver())
        self._sessions = {
            False: _session(outbound.open_socket, self._names[0]),
            True: _session(None, self._names[1]),
        }

    def by(self, proxy: str) -> Http:
        """The same pool for a channel with this proxy (a URL); empty for a channel that names none."""
        made = copy.copy(self)
        made._named = proxy
        return made

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        for names in self._names:
            await names.close()

    def _session_for(self, url: URL) -> tuple[aiohttp.ClientSession, str | None]:
        """The session and the proxy for a request; no proxy means that the request goes directly.

        Raises:
            ProxyError: the operator's proxy cannot be used.
            ForbiddenAddressError: the host must not be reached by a proxy.
        """
        from_environment = None if self._named else self._proxies.for_url(str(url))
        proxy = self._named or from_environment
        if proxy is not None:
            self._outbound.check_name(url.raw_host or "")
        return self._sessions[from_environment is not None], proxy

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        ca: str = "",
    ) -> Reply:
        """Send one request.

        Args:
            method: HTTP method.
            url: URL with http or https.
            headers: headers in addition to the session's.
            body: the body, exactly as it is sent.
            params: parameters of the query.
            ca: certificates (PEM) of the authority to trust; empty for the well-known ones.

        Raises:
            UnansweredError: the request cannot be sent, or there was no answer.
        """
        sent: dict[str, bool] = {}
        try:
            target = URL(url)  # parsed once: two parsers may find two hosts in one URL
            if target.scheme not in ("http", "https"):
                raise UnansweredError(permanent("InvalidURL", "the URL is neither http nor https"))
            session, proxy = self._session_for(target)
            async with session.request(
                method,
                target,
                proxy=proxy,
                headers=headers,
                data=body,
                params=params,
                ssl=tls(ca),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._seconds, connect=min(10.0, self._seconds)),
                trace_request_ctx=sent,
            ) as response:
                data = await _limited(response)
                named = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, named, data.decode(errors="replace"))
        except (ValueError, *UNANSWERED) as error:
            raise UnansweredError(unanswered(error, sent=bool(sent))) from error


def _session(factory: SocketFactoryType | None, names: AbstractResolver) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            # The sender limits the connections of each namespace. A limit here would be shared by all namespaces.
            limit=0,
            resolver=names,
            socket_factory=factory,
            keepalive_timeout=15,
            ttl_dns_cache=10,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),  # channels of different teams share this session
        auto_decompress=False,  # a small body can decompress to a huge one
        headers={"User-Agent": "execution-options", "Accept-Encoding": "identity"},
        trace_configs=[trace],
    )


@lru_cache(maxsize=MAX_CONTEXTS)
def tls(ca: str) -> ssl.SSLContext:
    """A TLS context that trusts only these certificates (PEM), or the well-known ones if ``ca`` is empty.

    Raises:
        UnansweredError: ``ca`` has no certificates.
    """
    try:
        return client_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise UnansweredError(permanent("InvalidAuthority", "ca holds no certificates", blames_channel=True)) from None


async def _note_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    context.trace_request_ctx["sent"] = True


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    data = b""
    while len(data) < MAX_ANSWER:
        chunk = await response.content.read(MAX_ANSWER - len(data))
        if not chunk:
            break
        data += chunk
    return data


def unanswered(error: Exception, *, sent: bool) -> Answer:
    """The answer for a failed request. Its text is our own, because an error's text may contain the URL.

    Args:
        error: what aiohttp or this package raised.
        sent: whether the request's headers were sent, so that the service may have the message.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ForbiddenAddressError):
            return permanent("AddressForbidden", str(cause), blames_channel=True)
        cause = cause.__cause__ or (cause.os_error if isinstance(cause, aiohttp.ClientConnectorError) else None)
    if isinstance(error, ProxyError):
        return temporary("ProxyRefused", str(error), blames_channel=True)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return temporary("ProxyRefused", f"the proxy answers HTTP {error.status}", blames_channel=True)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):  # some of them are also a ValueError
        return temporary("TLSFailed", f"TLS: {_tls_problem(error)}", blames_channel=True)
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return permanent("InvalidURL", "the URL cannot be used", blames_channel=True)
    if isinstance(error, TimeoutError):
        if sent:
            return ambiguous("NoAnswer", "no answer in time")
        return temporary("Unreachable", "no connection in time", blames_channel=True)
    if sent and not isinstance(error, aiohttp.ClientConnectorError):
        return ambiguous("ConnectionLost", "the connection ended before the answer")
    there = " to the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    return temporary("Unreachable", f"no connection{there}: {_reason(error)}", blames_channel=True)


def _tls_problem(error: Exception) -> str:
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    verify = getattr(inner, "verify_message", "")
    return str(verify or getattr(inner, "reason", "") or type(inner).__name__).lower()


def _reason(error: Exception) -> str:
    inner = getattr(error, "os_error", None) or error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host is unknown"
    return str(getattr(inner, "strerror", "") or type(inner).__name__)


def refused(reply: Reply, text: str) -> Answer:
    """The answer for an HTTP status other than success, if the service's body says nothing more precise.

    Args:
        reply: the service's reply.
        text: the part of its body to show; empty for none.
    """
    described = f"HTTP {reply.status}: {text}" if text else f"HTTP {reply.status}"
    if reply.status == 410:
        return permanent("Gone", described, blames_channel=True)
    if reply.status in (401, 403):
        return permanent("Unauthorized", described, blames_channel=True)
    if reply.status == 407:
        return temporary("ProxyRefused", "the proxy answers HTTP 407", blames_channel=True)
    if reply.status == 429:
        return temporary("RateLimited", described, retry_after=reply.retry_after)
    if reply.status in (408, 425) or reply.status >= 500:
        return temporary("ServerError", described, retry_after=reply.retry_after, blames_channel=True)
    if 300 <= reply.status < 400:
        return permanent("Redirected", f"{described}: redirects are not followed", blames_channel=True)
    return permanent("Refused", described)


def now() -> int:
    """The current time as Unix seconds."""
    return int(time.time())
