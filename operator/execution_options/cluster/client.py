"""Small HTTPS requests to the components of a control plane, with the certificates of its state folder."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any

from execution_options.tls import client_context

from .components import HOST

if TYPE_CHECKING:
    import ssl

    from .state import ClusterState

_TIMEOUT_SECONDS = 5.0

# The scheme and path of each component's health endpoint.
_HEALTH = {
    "etcd": ("https", "/health"),
    "kube-apiserver": ("https", "/readyz"),
    "kube-controller-manager": ("https", "/healthz"),
    "kube-scheduler": ("https", "/healthz"),
    "kwok": ("http", "/healthz"),
}


class Client:
    """Asks the components of one cluster, as its administrator."""

    def __init__(self, state: ClusterState) -> None:
        """Load the cluster's certificates.

        Raises:
            OSError: They cannot be read.
        """
        self._admin = _context(state, "admin")
        self._etcd = _context(state, "etcd-client")

    def healthy(self, component: str, port: int) -> bool:
        """Whether the component on this loopback port answers that it is healthy."""
        scheme, path = _HEALTH[component]
        tls = self._etcd if component == "etcd" else self._admin
        try:
            status, _ = _request(port, tls if scheme == "https" else None, "GET", path, None)
        except (OSError, HTTPException):
            return False
        return status == 200

    def api(self, port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request to the API server on this loopback port: its status code and the decoded answer.

        Raises:
            OSError: It does not answer.
        """
        try:
            status, content = _request(port, self._admin, method, path, body)
            return status, json.loads(content)
        except (HTTPException, ValueError) as error:
            raise OSError(f"unexpected answer from the API server: {error}") from error


def _context(state: ClusterState, client: str) -> ssl.SSLContext:
    context = client_context(cafile=state.pki / "ca.crt")
    context.load_cert_chain(state.pki / f"{client}.crt", state.pki / f"{client}.key")
    return context


def _request(port: int, tls: ssl.SSLContext | None, method: str, path: str, body: Any) -> tuple[int, bytes]:
    connection: HTTPConnection
    if tls is None:
        connection = HTTPConnection(HOST, port, timeout=_TIMEOUT_SECONDS)
    else:
        connection = HTTPSConnection(HOST, port, timeout=_TIMEOUT_SECONDS, context=tls)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
