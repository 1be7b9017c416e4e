"""Beside the webhooks of others: ours runs first, so that they judge what an execution has in the end."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from execution_options.certificates.authority import Policy, create_authority, issue
from execution_options.certificates.serving import load, server_context
from execution_options.kube.client import path_of
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from support.team import Manifest, Team

pytestmark = pytest.mark.e2e

PEERS = (
    "azure-wi-webhook-mutating-webhook-configuration",
    "kueue-mutating-webhook-configuration",
    "pod-identity-webhook",
    "webhook.pipeline.tekton.dev",
)
"""Names under which others install theirs."""


class Peer(ThreadingHTTPServer):
    """A webhook that lets everything pass, and remembers what it was shown, by configuration."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: dict[str, list[Manifest]] = {name: [] for name in PEERS}


class _Handler(BaseHTTPRequestHandler):
    server: Peer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        self.server.seen[self.path.partition("?")[0].strip("/")].append(request["object"])
        response = {"uid": request["uid"], "allowed": True}
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
def peers(team: Team) -> Iterator[Peer]:
    """The configurations of all peers, for the team's namespace."""
    now, context = datetime.now(UTC), server_context()
    authority = create_authority(now, Policy())
    load(context, issue(authority, [x509.DNSName("localhost")], now, Policy()))
    peer = Peer(context)
    thread = threading.Thread(target=peer.serve_forever)
    thread.start()
    collection = path_of("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")
    try:
        for name in PEERS:
            entry = {
                "name": "peer.example.com",
                "clientConfig": {
                    "url": f"https://localhost:{peer.server_address[1]}/{name}",
                    "caBundle": base64.b64encode(authority.certificate_pem).decode(),
                },
                "rules": [
                    {"operations": ["CREATE"], "apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"]}
                ],
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
        for name in PEERS:
            team.request("DELETE", f"{collection}/{name}")
        peer.shutdown()
        thread.join()
        peer.server_close()


def test_others_see_the_account_and_the_labels_that_are_used_in_the_end(team: Team) -> None:
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    team.options("own", {"labels": {"a": "b"}, "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})
    manifest = job("train-", options="own", spec={"suspend": True})
    with peers(team) as peer:

        def everybody() -> bool:
            team.create(manifest)
            return all(peer.seen.values())

        eventually(everybody)  # an API server learns of a configuration after a while
        for name, seen in peer.seen.items():
            for execution in seen:
                assert execution["spec"]["template"]["spec"]["serviceAccountName"] == "trainer", name
                assert execution["spec"]["template"]["metadata"]["labels"]["a"] == "b", name
