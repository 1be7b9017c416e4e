"""A client for raw requests to the API server.

The official client loads the configuration (kubeconfig, service account, exec plugins) and refreshes
tokens; bodies are (de)coded here with msgspec, into the few fields that are needed.
"""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack
from urllib.request import getproxies

import aiohttp
import msgspec
import yaml
from kubernetes.aio import client as official
from kubernetes.aio import config
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

REQUEST_TIMEOUT: Final = 10.0
"""Seconds for one request, watches apart; shorter than what a lease leaves (``controller.lease``)."""


class Options(TypedDict, total=False):
    """Options of a request; see :meth:`Kube.request`."""

    params: Mapping[str, str]
    accept: str
    seconds: float


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        status: HTTP status code.
        reason: ``reason`` of the ``Status`` object, for example ``NotFound`` or ``Conflict``.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class _Status(Struct):
    reason: str = ""
    message: str = ""


class Kube:
    """A connection to one cluster; use as an async context manager.

    Requests raise :class:`ApiError` for what the API server refuses, ``aiohttp.ClientError`` and
    ``TimeoutError`` for what never got an answer.
    """

    def __init__(self, configuration: official.Configuration) -> None:
        self._configuration = configuration
        self._client = official.ApiClient(configuration)
        self._session = self._client.rest_client._create_pool_manager()
        self.server: str = configuration.host

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Kube:
        """Connect with a kubeconfig, or, where none is named, as the service account of this pod.

        Raises:
            kubernetes.aio.config.ConfigException: neither is there, or it cannot be used.
        """
        configuration = official.Configuration()
        configuration.connection_pool_maxsize = 64
        # Looking for a proxy costs two thread hops a request.
        configuration.client_session_kwargs = {"trust_env": bool(getproxies())}
        if kubeconfig is None and context is None:
            try:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
                return cls(configuration)
            except config.ConfigException:
                pass
        files = _existing(kubeconfig)
        try:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=None if kubeconfig is None else str(kubeconfig),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        except (yaml.YAMLError, UnicodeDecodeError, TypeError, AttributeError) as error:
            why = str(error).splitlines()[0]
            raise config.ConfigException(f"{files} is no kubeconfig: {why}") from error
        return cls(configuration)

    def cluster_config(self) -> dict[str, str]:
        """The ``cluster`` entry of a kubeconfig for the same API server."""
        data = self._configuration.ca_cert_data
        if not data and self._configuration.ssl_ca_cert:
            data = Path(self._configuration.ssl_ca_cert).read_bytes()
        entry = {"server": self.server}
        if data:
            raw = data.encode() if isinstance(data, str) else data
            entry["certificate-authority-data"] = base64.b64encode(raw).decode()
        return entry

    async def __aenter__(self) -> Kube:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._client.close()  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)  # lets closed TLS transports finish

    async def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers

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
        headers = await self._headers()
        headers["Accept"] = accept
        if body is not None:
            headers["Content-Type"] = content_type
        async with self._session.request(
            method,
            self.server + path,
            params=params,
            data=None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as response:
            data = await response.read()
            if response.status >= 400:
                raise error_of(response.status, data)
            return data

    async def stream(
        self, path: str, *, params: Mapping[str, str], accept: str, silence: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Open a watch; a connection that says nothing for ``silence`` seconds is given up."""
        headers = await self._headers()
        headers["Accept"] = accept
        return self._session.get(
            self.server + path,
            params=params,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT, sock_read=silence),
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


def _existing(kubeconfig: Path | None) -> str:
    """The kubeconfig that is used: the named one, or those that kubectl would use."""
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [Path(file).expanduser() for file in named.split(os.pathsep)] if kubeconfig is None else [kubeconfig]
    text = ", ".join(str(file) for file in files)
    if not any(file.is_file() for file in files):
        raise config.ConfigException(f"there is no kubeconfig {text}")
    return text


def error_of(status: int, body: bytes) -> ApiError:
    """The error that an answer of the API server stands for."""
    try:
        answer = msgspec.json.decode(body, type=_Status)
    except (msgspec.MsgspecError, UnicodeError):
        answer = _Status(message=body[:200].decode(errors="replace"))
    return ApiError(status, answer.reason or "Unknown", answer.message)


def path_of(group: str, version: str, plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The path of a resource or collection; ``group`` is empty for the core group."""
    parts = ["/apis", group, version] if group else ["/api", version]
    if namespace:
        parts += ["namespaces", namespace]
    parts += [part for part in (plural, name, subresource) if part]
    return "/".join(parts)
