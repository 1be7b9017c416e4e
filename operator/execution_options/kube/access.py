"""How to reach a cluster and who to be there.

In a pod, which is where the operator runs, that is three files. The official client knows everything that
a kubeconfig can hold, exec plugins included, but importing it takes 50 MB for the models of every kind of
Kubernetes: it is imported only where a kubeconfig is used.
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
"""By which audit logs and metrics of the API server tell requests of the operator from others with its token."""
TOKEN_SECONDS: Final = 60.0
"""How long a token is used before its file is read again; the kubelet renews it long before it expires."""


class NoClusterError(Exception):
    """There is no cluster to connect to, or what describes it cannot be used; the message says why."""


class Authorization(Protocol):
    """Who to be."""

    async def header(self) -> str:
        """Value of the ``Authorization`` header; empty where a client certificate says it."""


@dataclass(frozen=True, slots=True)
class Access:
    """A cluster, and an identity in it.

    Attributes:
        server: URL of the API server.
        authorization: the identity, unless it is the client certificate.
        ca: certificates in PEM that the server's is verified with; those of the system where it is empty.
        verify: whether the server's certificate is verified at all.
        certificate: files with a client certificate and its key.
        proxy: URL of the proxy that requests go by: the kubeconfig's ``proxy-url``, else that of the environment.
        server_name: name to ask the server's certificate for instead of its host.
        namespace: where commands look unless they are told otherwise.
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
        """A context for connections."""
        context = client_context(cadata=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(*self.certificate)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


async def find(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """The cluster of a kubeconfig, or, where none is named, of this pod, or of kubectl's kubeconfig.

    Raises:
        NoClusterError: there is none, or it cannot be used.
    """
    if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster()
    return await of_kubeconfig(kubeconfig, context)


def in_cluster() -> Access:
    """The cluster of this pod, as its service account.

    https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api

    Raises:
        NoClusterError: the pod has no service account's files.
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
    """A token that is renewed in its file."""

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
    """The cluster of a kubeconfig; by default of those that kubectl would use.

    Raises:
        NoClusterError: there is none, or it cannot be used.
    """
    from kubernetes.aio import config
    from kubernetes.aio.client import Configuration

    files = _existing(kubeconfig)
    configuration = Configuration()
    try:
        loaded = await config.load_kube_config(
            config_file=None if kubeconfig is None else str(kubeconfig),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except config.ConfigException as error:
        raise NoClusterError(str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise NoClusterError(f"{files} is no kubeconfig: {str(error).splitlines()[0]}") from error
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
    """What the official client makes of a kubeconfig's user, renewed as it does that."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    async def header(self) -> str:
        return await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""


def _existing(kubeconfig: Path | None) -> str:
    """The kubeconfig that is used: the named one, or those that kubectl would use."""
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [Path(file).expanduser() for file in named.split(os.pathsep)] if kubeconfig is None else [kubeconfig]
    text = ", ".join(str(file) for file in files)
    if not any(file.is_file() for file in files):
        raise NoClusterError(f"there is no kubeconfig {text}")
    return text
