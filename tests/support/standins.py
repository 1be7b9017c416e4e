"""Webhooks that stand in for those of others, under the names of their configurations."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography import x509

from execution_options.certificates.authority import Policy, create_authority, issue
from execution_options.certificates.serving import load, server_context
from execution_options.kube.client import path_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterator

    from support.team import Manifest, Team

JOBS: Manifest = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"]}
PODS: Manifest = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def pass_all(_: Manifest) -> list[Manifest]:
    """Change nothing."""
    return []


class Peer(ThreadingHTTPServer):
    """A webhook that remembers what it was shown, by configuration.

    Args:
        context: its certificate.
        names: of its configurations.
        change: the JSON Patch of an object.
    """

    def __init__(
        self, context: ssl.SSLContext, names: Collection[str], change: Callable[[Manifest], list[Manifest]]
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: dict[str, list[Manifest]] = {name: [] for name in names}
        self.change = change


class _Handler(BaseHTTPRequestHandler):
    server: Peer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        self.server.seen[self.path.partition("?")[0].strip("/")].append(request["object"])
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        operations = self.server.change(request["object"])
        if operations:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}
        body = json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a test's output is its own."""


@contextmanager
def peers(
    team: Team,
    names: Collection[str],
    created: Manifest = JOBS,
    change: Callable[[Manifest], list[Manifest]] = pass_all,
) -> Iterator[Peer]:
    """Configurations with these names, for what is created in the team's namespace."""
    now, context = datetime.now(UTC), server_context()
    authority = create_authority(now, Policy())
    load(context, issue(authority, [x509.DNSName("localhost")], now, Policy()))
    peer = Peer(context, names, change)
    thread = threading.Thread(target=peer.serve_forever)
    thread.start()
    collection = path_of("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")
    try:
        for name in names:
            entry = {
                "name": "peer.example.com",
                "clientConfig": {
                    "url": f"https://localhost:{peer.server_address[1]}/{name}",
                    "caBundle": base64.b64encode(authority.certificate_pem).decode(),
                },
                "rules": [{"operations": ["CREATE"], **created}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
            body = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": name},
                "webhooks": [entry],
            }
            team.request("POST", collection, body)
        yield peer
    finally:
        for name in names:
            team.request("DELETE", f"{collection}/{name}")
        peer.shutdown()
        thread.join()
        peer.server_close()
