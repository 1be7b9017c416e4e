"""A client for raw requests to the API server; callers decode the few fields that they need."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import Struct

from execution_options.api import decoding
from execution_options.http_errors import UNANSWERED
from execution_options.kube.access import USER_AGENT, find
from execution_options.kube.encoding import encoded
from execution_options.watchdog import advance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from execution_options.kube.access import Access

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

TOO_MANY: Final = 429
CONNECTIONS: Final = 64
LONGEST_PAUSE: Final = 60
"""Longest pause that a Retry-After can ask for, in seconds."""
LAST_SECONDS: Final = 0.25
"""Seconds that TLS transports get to close."""
LARGEST_LINE: Final = 2**21
"""Bytes of an answer that are buffered. A watch sends one object per line."""
REQUEST_TIMEOUT: Final = 10.0
"""Time-out of a request in seconds, except for watches; shorter than the time left to renew a lease
(``controller.runtime.lease``)."""


class Options(TypedDict, total=False):
    """Options of a request; see :meth:`Kube.request`."""

    params: Mapping[str, str]
    accept: str
    answer: str
    seconds: float


REFUSED: Final = (400, 403, 422)
"""Status codes with which rights, policies and webhooks refuse a request that is otherwise valid."""


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        status: HTTP status code.
        reason: ``reason`` of the ``Status`` object, for example ``NotFound`` or ``Conflict``; empty if the answer was
            not such an object, so that a proxy may have sent it.
        message: ``message`` of the ``Status`` object, or the beginning of the answer.
        retry_after: seconds to wait before the next request.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason or 'Unknown'}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    @property
    def is_overload(self) -> bool:
        """Whether the API server, or etcd behind it, is overloaded.

        500 does not count: it is the answer if somebody's admission webhook fails.
        """
        return self.status in (TOO_MANY, 503, 504) or self.retry_after > 0

    @property
    def is_not_found(self) -> bool:
        """Whether the object does not exist. The 404 for an unknown kind has another reason."""
        return self.status == 404 and self.reason == "NotFound"

    @property
    def is_certain(self) -> bool:
        """Whether the request certainly had no effect and will have none.

        Only the API server can know that, so the answer must be its own and no internal error. 429 is sent before a
        request is processed, without a ``Status``.
        """
        return self.status == TOO_MANY or (400 <= self.status < 500 and bool(self.reason))


REQUEST_ERRORS: Final = (ApiError, *UNANSWERED)
"""Raised by a request that was refused or got no answer."""


class _Status(Struct):
    kind: str = ""
    reason: str = ""
    message: str = ""


class Kube:
    """A connection to one cluster; use as an async context manager.

    Requests raise :class:`ApiError` if the API server refuses them, ``aiohttp.ClientError`` or ``TimeoutError`` if they
    get no answer.
    """

    def __init__(self, access: Access) -> None:
        """Create the client; it connects at the first request."""
        self.access = access
        self._session = self._opened(CONNECTIONS)
        # Watches hold their connection: in one pool with requests they would leave these none.
        self._streams = self._opened(0)
        self.server: str = access.server

    def _opened(self, limit: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, resolver=aiohttp.ThreadedResolver(), ssl=self.access.tls()),
            # Compressing a list takes the API server longer than making it; sending it is fast.
            headers={"Accept-Encoding": "identity", "User-Agent": USER_AGENT},
            read_bufsize=LARGEST_LINE,
        )

    def apart(self) -> Kube:
        """Return another client of the same cluster with its own connections. The caller closes it."""
        return Kube(self.access)

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Kube:
        """Return a client of the cluster that :func:`execution_options.kube.access.find` finds; arguments as there.

        Raises:
            execution_options.kube.access.NoClusterError: there is none, or it cannot be used.
        """
        return cls(await find(kubeconfig, context))

    def cluster_config(self) -> dict[str, str]:
        """Return the ``cluster`` entry of a kubeconfig for this API server."""
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
        # TLS transports close a little later, and the event loop may end right after this:
        # https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown
        await asyncio.sleep(LAST_SECONDS)

    async def _sent(self, accept: str, content_type: str = "") -> dict[str, Any]:
        """Return the arguments that all requests share."""
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
        answer: str = "",
        seconds: float = REQUEST_TIMEOUT,
    ) -> bytes:
        """Send one request and return the body of its answer.

        Args:
            method: HTTP method.
            path: URL path on the API server.
            body: plain data, or bytes that are sent as they are.
            params: query parameters.
            content_type: of the body.
            accept: media type of the answer.
            answer: media type of the answer, if it is one that cannot be asked for; that of logs is.
            seconds: time-out.

        Raises:
            ApiError: the API server refused it.
            aiohttp.ClientError: it got no answer of the API server.
            TimeoutError: it got no answer in time.
        """
        advance()
        sent = await self._sent(accept, "" if body is None else content_type)
        async with self._session.request(
            method,
            self.server + path,
            params=params,
            data=encoded(body, content_type),
            timeout=aiohttp.ClientTimeout(total=seconds),
            **sent,
        ) as response:
            data = await response.read()
            if response.status >= 400:
                raise error_of(response.status, data, response.headers.get("Retry-After", ""))
            if response.content_type != (answer or accept.partition(";")[0]):
                # A proxy may have answered, so the result of the request is unknown.
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
        """Open a watch.

        Args:
            path: URL path of the collection.
            params: query parameters.
            accept: media type of the events.
            silence: seconds without any data after which the connection is closed.
        """
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


def error_of(status: int, body: bytes, retry_after: str = "") -> ApiError:
    """Return the error for an answer of the API server (status 0: for an error event of a watch).

    The API server sends the header ``Retry-After`` in whole seconds.
    """
    try:
        answer = decoding.read(body, _Status)
    except (msgspec.MsgspecError, UnicodeError):
        answer = _Status(message=body[:200].decode(errors="replace"))
    reason = (answer.reason or "Unknown") if answer.kind == "Status" else ""
    pause = min(int(retry_after), LONGEST_PAUSE) if retry_after.isdecimal() else 0
    return ApiError(status, reason, answer.message, pause)


def path_of(group: str, version: str, plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the URL path of an object or a collection.

    Args:
        group: API group; empty for the core group.
        version: version of the API.
        plural: plural of the kind.
        namespace: empty for all namespaces, and for kinds without.
        name: empty for the collection.
        subresource: for example ``status``.
    """
    parts = ["/apis", group, version] if group else ["/api", version]
    if namespace:
        parts += ["namespaces", namespace]
    # The API server validates names, but not those in owner references: unquoted, they could leave the path.
    parts += [part for part in (plural, quote(name, safe=""), subresource) if part]
    return "/".join(parts)
