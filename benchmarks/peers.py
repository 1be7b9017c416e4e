"""Processes that are measured beside ours, and their webhook entries."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from cryptography import x509

from execution_options.certificates.authority import Policy, create_authority, issue, pem
from execution_options.processes import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

READY_SECONDS = 30.0


class Peer:
    """A webhook server on loopback, in a process of its own.

    Args:
        folder: for its files.
        module: what is run as ``python -m benchmarks.MODULE PORT CERTIFICATE KEY ARGUMENTS...``.
        path: where it answers.
    """

    def __init__(self, folder: Path, module: str, path: str) -> None:
        self.folder, self.path = folder, path
        self._module = module
        self.port = _free_port()
        self.pid = 0
        authority = create_authority(datetime.datetime.now(datetime.UTC), Policy())
        names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        serving = issue(authority, names, datetime.datetime.now(datetime.UTC), Policy())
        self._ca = pem(authority.certificate)
        self._files = (folder / f"{module}-{self.port}.crt", folder / f"{module}-{self.port}.key")
        self._files[0].write_bytes(serving.certificate_pem)
        self._files[1].touch(mode=0o600)
        self._files[1].write_bytes(serving.key_pem)

    def configuration(self, plural: str, group: str, namespace: str) -> dict[str, Any]:
        """A webhook configuration that sends it what is created in ``namespace``."""
        client = {
            "url": f"https://127.0.0.1:{self.port}{self.path}",
            "caBundle": base64.b64encode(self._ca).decode(),
        }
        entry = {
            "name": "peer.benchmarks.execution.dev",
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "resources": [plural], "operations": ["CREATE"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "clientConfig": client,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "peer"},
            "webhooks": [entry],
        }

    @contextlib.contextmanager
    def running(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Peer]:
        """The process, from when it accepts connections.

        Raises:
            RuntimeError: it does not come up.
        """
        log = self.folder / f"{self._module}-{self.port}.log"
        module = f"benchmarks.{self._module}"
        command = [sys.executable, "-m", module, str(self.port), *map(str, self._files), *arguments]
        with log.open("ab") as output:
            process = subprocess.Popen(
                guarded(command), stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment,
                process_group=0,
            )  # fmt: skip
        self.pid = process.pid
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not _accepts(self.port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{module} does not come up:\n{log.read_text(errors='replace')}")
                time.sleep(0.05)
            yield self
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
