"""A client for raw requests to the API server, whose bodies are decoded into the few fields that are needed."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import Struct

from execution_options.api import decoding
from execution_options.kube.access import USER_AGENT, find
from execution_options.watchdog import advance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from execution_options.kube.access import Access

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

TOO_MANY: Final = 429
CONNECTIONS: Final = 64
LONGEST_PAUSE: Final = 60
"""Seconds of a Retry-After that are believed."""
LAST_SECONDS: Final = 0.25
LARGEST_LINE: Final = 2**21
"""Bytes that are buffered of an answer: a watch has one object a line."""
REQUEST_TIMEOUT: Final = 10.0
"""Seconds for one request, watches apart; shorter than what a lease leaves (``controller.runtime.lease``)."""


class Options(TypedDict, total=False):
    """Options of a request; see :meth:`Kube.request`."""

    params: Mapping[str, str]
    accept: str
    seconds: float


_ESCAPED: Final = [(text.encode(), f"\\u{ord(text):04x}".encode()) for text in "<>&\u2028\u2029"]
"""What Go's encoder escapes in strings and msgspec does not; none of it stands anywhere else in JSON."""

REFUSED: Final = (400, 403, 422)
"""Status codes by which rights, policies and webhooks refuse a request that is otherwise well."""


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        status: HTTP status code.
        reason: ``reason`` of the ``Status`` object, for example ``NotFound`` or ``Conflict``; empty where the answer
            was none, so that whoever stands in between may have given it.
        retry_after: seconds for which it asks to be left alone.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason or 'Unknown'}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    @property
    def is_overload(self) -> bool:
        """Whether the API server, or what is behind it, has too much to do.

        It answers 500 where an admission webhook of somebody's fails, which says nothing of its load.
        """
        return self.status in (TOO_MANY, 503, 504) or self.retry_after > 0

    @property
    def is_not_found(self) -> bool:
        """Whether the API server says that there is no such object. Of kinds that it does not know it says less."""
        return self.status == 404 and self.reason == "NotFound"

    @property
    def is_certain(self) -> bool:
        """Whether what was asked for has certainly not been done, and will not be.

        Only the API server can know that, while nothing went wrong in it. Too many requests are refused before
        anybody looks at them, without a ``Status``.
        """
        return self.status == TOO_MANY or (400 <= self.status < 500 and bool(self.reason))


UNANSWERED: Final = (aiohttp.ClientError, OSError)
"""What a request raises that got no answer; ``TimeoutError`` is an ``OSError``."""
REQUEST_ERRORS: Final = (ApiError, *UNANSWERED)
"""What a request raises: it was refused, or got no answer."""


class _Status(Struct):
    kind: str = ""
    reason: str = ""
    message: str = ""


class Kube:
    """A connection to one cluster; use as an async context manager.

    Requests raise :class:`ApiError` for what the API server refuses, ``aiohttp.ClientError`` and
    ``TimeoutError`` for what never got an answer.
    """

    def __init__(self, access: Access) -> None:
        """Nothing is sent before the first request."""
        self.access = access
        self._session = self._opened(CONNECTIONS)
        # Watches last: out of one pool with requests they would leave these no connection.
        self._streams = self._opened(0)
        self.server: str = access.server

    def _opened(self, limit: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, resolver=aiohttp.ThreadedResolver(), ssl=self.access.tls()),
            # Compressing a list takes the API server longer than the list itself, and sending it takes neither long.
            headers={"Accept-Encoding": "identity", "User-Agent": USER_AGENT},
            read_bufsize=LARGEST_LINE,
        )

    def apart(self) -> Kube:
        """Another connection to the same cluster, which no request of this one can delay; to be closed on its own."""
        return Kube(self.access)

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Kube:
        """Connect to the cluster that :func:`execution_options.kube.access.find` finds.

        Raises:
            execution_options.kube.access.NoClusterError: there is none, or it cannot be used.
        """
        return cls(await find(kubeconfig, context))

    def cluster_config(self) -> dict[str, str]:
        """The ``cluster`` entry of a kubeconfig for the same API server."""
        entry = {"server": self.server}
        if self.access.ca:
            entry["certificate-authority-data"] = base64.b64encode(self.access.ca.encode()).decode()
        return entry

    async def __aenter__(self) -> Kube:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(self._session.close(), self._streams.close())
        # TLS transports end a little later, and the event loop may be about to end, too:
        # https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown
        await asyncio.sleep(LAST_SECONDS)

    async def _sent(self, accept: str, content_type: str = "") -> dict[str, Any]:
        """What every request is sent with."""
        headers = {"Accept": accept}
        authorization = await self.access.authorization.header()
        if authorization:
            headers["Authorization"] = authorization
        if content_type:
            headers["Content-Type"] = content_type
        return {"headers": headers, "proxy": self.access.proxy, "server_hostname": self.access.server_name}

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        seconds: float = REQUEST_TIMEOUT,
    ) -> bytes:
        """Send one request and return the body of its answer; waiting at most ``seconds``."""
        advance()
        sent = await self._sent(accept, "" if body is None else content_type)
        async with self._session.request(
            method,
            self.server + path,
            params=params,
            data=_encoded(body, content_type),
            timeout=aiohttp.ClientTimeout(total=seconds),
            **sent,
        ) as response:
            data = await response.read()
            if response.status >= 400:
                raise error_of(response.status, data, response.headers.get("Retry-After", ""))
            if response.content_type != accept.partition(";")[0]:
                # Whoever stands in between may have said that: nobody knows what became of the request.
                raise aiohttp.ContentTypeError(
                    response.request_info,
                    response.history,
                    status=response.status,
                    message=f"not the API server's answer: {response.content_type}",
                )
            return data

    async def stream(
        self, path: str, *, params: Mapping[str, str], accept: str, silence: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Open a watch; a connection that says nothing for ``silence`` seconds is given up."""
        sent = await self._sent(accept)
        return self._streams.get(
            self.server + path,
            params=params,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT, sock_read=silence),
            **sent,
        )

    async def get(self, path: str, **options: Unpack[Options]) -> bytes:
        """GET ``path``; see :meth:`request` for the options."""
        return await self.request("GET", path, **options)

    async def create(self, path: str, body: Any, **options: Unpack[Options]) -> bytes:
        """POST ``body`` to the collection ``path``."""
        return await self.request("POST", path, body=body, **options)

    async def replace(self, path: str, body: Any, **options: Unpack[Options]) -> bytes:
        """PUT ``body`` to ``path``."""
        return await self.request("PUT", path, body=body, **options)

    async def patch(self, path: str, body: Any, content_type: str, **options: Unpack[Options]) -> bytes:
        """PATCH ``path`` with a patch of the given content type."""
        return await self.request("PATCH", path, body=body, content_type=content_type, **options)

    async def delete(self, path: str, **options: Unpack[Options]) -> bytes:
        """DELETE ``path``."""
        return await self.request("DELETE", path, **options)


def _encoded(body: Any, content_type: str) -> bytes | None:
    """A request's body; JSON patches as Go would write them.

    The API server compares the strings of a ``test`` as they are escaped, and has escaped its own by Go's encoder:
    https://github.com/evanphx/json-patch/blob/v4.13.0/patch.go (``lazyNode.equal``).
    """
    if body is None or isinstance(body, bytes):
        return body
    data = msgspec.json.encode(body)
    if content_type == JSON_PATCH:
        for plain, escaped in _ESCAPED:
            data = data.replace(plain, escaped)
    return data


def error_of(status: int, body: bytes, retry_after: str = "") -> ApiError:
    """The error that an answer of the API server stands for; it gives the header Retry-After in whole seconds."""
    try:
        answer = decoding.read(body, _Status)
    except (msgspec.MsgspecError, UnicodeError):
        answer = _Status(message=body[:200].decode(errors="replace"))
    reason = (answer.reason or "Unknown") if answer.kind == "Status" else ""
    pause = min(int(retry_after), LONGEST_PAUSE) if retry_after.isdecimal() else 0
    return ApiError(status, reason, answer.message, pause)


def path_of(group: str, version: str, plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The path of a resource or collection; ``group`` is empty for the core group."""
    parts = ["/apis", group, version] if group else ["/api", version]
    if namespace:
        parts += ["namespaces", namespace]
    # Names are checked by the API server, but those of owners are not, and would be able to leave the path.
    parts += [part for part in (plural, quote(name, safe=""), subresource) if part]
    return "/".join(parts)


async def get_if_exists(kube: Kube, path: str, **options: Unpack[Options]) -> bytes | None:
    """GET an object; ``None`` where the API server says that there is none.

    That something between says so is no answer, nor what the API server says of kinds that it does not know.
    """
    try:
        return await kube.get(path, **options)
    except ApiError as error:
        if error.is_not_found:
            return None
        raise
