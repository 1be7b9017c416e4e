"""Address of a cluster, and an identity in it.

In a pod, where the operator runs, three files hold them. The official client understands everything in a kubeconfig,
exec plugins included, but importing it takes 50 MB for the models of all kinds: it is imported only for a kubeconfig.
"""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import yaml

from execution_options.proxies import ProxyError, of_api_server
from execution_options.tls import client_context

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_NAMESPACE: Final = "default"
USER_AGENT: Final = f"execution-options/{version('execution-options')}"
"""Identifies requests of the operator in audit logs and metrics of the API server."""
TOKEN_SECONDS: Final = 60.0
"""Seconds for which a token is used before its file is read again. The kubelet renews it long before it expires."""


class NoClusterError(Exception):
    """There is no usable description of a cluster; the message tells why."""


class Authorization(Protocol):
    """An identity."""

    async def header(self) -> str:
        """Return the ``Authorization`` header; empty if a client certificate is the identity."""


@dataclass(frozen=True, slots=True)
class Access:
    """A cluster, and an identity in it.

    Attributes:
        server: URL of the API server.
        authorization: the identity, unless it is the client certificate.
        ca: certificates in PEM to verify the server with; empty: those of the system.
        verify: whether the server's certificate is verified at all.
        certificate: files with a client certificate and its key.
        proxy: URL of the proxy for requests: the kubeconfig's ``proxy-url``, else that of the environment.
        server_name: name that the server's certificate must have instead of the host.
        namespace: default namespace of commands.
    """

    server: str
    authorization: Authorization
    ca: str = ""
    verify: bool = True
    certificate: tuple[str, str | None] | None = None
    proxy: str | None = None
    server_name: str | None = None
    namespace: str = DEFAULT_NAMESPACE

    def tls(self) -> ssl.SSLContext:
        """Return the TLS context for connections."""
        context = client_context(cadata=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(*self.certificate)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


async def find(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """Return the access to a cluster: by the named kubeconfig or context, else of this pod, else as kubectl does.

    Args:
        kubeconfig: file; ``None``: see above.
        context: context of the kubeconfig; ``None``: its current one.

    Raises:
        NoClusterError: there is none, or it cannot be used.
    """
    if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster()
    return await of_kubeconfig(kubeconfig, context)


def in_cluster() -> Access:
    """Return the access of this pod's service account to its cluster.

    https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api

    Raises:
        NoClusterError: the pod has no files of a service account.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        ca = (SERVICE_ACCOUNT / "ca.crt").read_text()
        token = _TokenFile(SERVICE_ACCOUNT / "token")
    except OSError as error:
        raise NoClusterError(f"this pod has no service account to use: {error}") from error
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    return Access(server, token, ca, proxy=_proxy(server))


def _proxy(server: str, named: str | None = None) -> str | None:
    try:
        return of_api_server(os.environ, server, named)
    except ProxyError as error:
        raise NoClusterError(str(error)) from error


class _TokenFile:
    """A token in a file, in which the kubelet renews it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read()

    def _read(self) -> None:
        self._header = f"Bearer {self._file.read_text().strip()}"
        self._until = time.monotonic() + TOKEN_SECONDS

    async def header(self) -> str:
        if time.monotonic() > self._until:
            self._read()
        return self._header


async def of_kubeconfig(kubeconfig: Path | None, context: str | None) -> Access:
    """Return the access that a kubeconfig describes.

    Args:
        kubeconfig: file; ``None``: those that kubectl would use.
        context: context of the kubeconfig; ``None``: its current one.

    Raises:
        NoClusterError: there is none, or it cannot be used.
    """
    from kubernetes.aio import config
    from kubernetes.aio.client import Configuration

    files = _existing(kubeconfig)
    configuration = Configuration()
    try:
        loaded = await config.load_kube_config(
            # Always named: the client reads KUBECONFIG only once, when it is imported.
            config_file=os.pathsep.join(map(str, files)),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except config.ConfigException as error:
        raise NoClusterError(str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise NoClusterError(f"{_text(files)} is no kubeconfig: {str(error).splitlines()[0]}") from error
    return Access(
        server=configuration.host,
        authorization=_Official(configuration),
        ca=_ca(configuration),
        verify=bool(configuration.verify_ssl),
        certificate=(configuration.cert_file, configuration.key_file) if configuration.cert_file else None,
        proxy=_proxy(configuration.host, configuration.proxy),
        server_name=configuration.tls_server_name,
        namespace=loaded.current_context["context"].get("namespace") or DEFAULT_NAMESPACE,
    )


def _ca(configuration: Configuration) -> str:
    data = configuration.ca_cert_data
    if data:
        return data.decode() if isinstance(data, bytes) else data
    return Path(configuration.ssl_ca_cert).read_text() if configuration.ssl_ca_cert else ""


class _Official:
    """The user of a kubeconfig, whose credentials the official client renews."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    async def header(self) -> str:
        return await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""


def _existing(kubeconfig: Path | None) -> list[Path]:
    """Return the kubeconfigs in use.

    Raises:
        NoClusterError: none of them exists.
    """
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [Path(file).expanduser() for file in named.split(os.pathsep)] if kubeconfig is None else [kubeconfig]
    if not any(file.is_file() for file in files):
        raise NoClusterError(f"there is no kubeconfig {_text(files)}")
    return files


def _text(files: list[Path]) -> str:
    return ", ".join(str(file) for file in files)
