"""Executions of real engines in one namespace, and what becomes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.waiting import eventually

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

Manifest = dict[str, Any]

OUTCOME = "sim.execution.dev/outcome"
"""Annotation of a pod with how it ends."""


class Desk:
    """Executions in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace

    def kubectl(self, *arguments: str, manifest: Manifest | None = None) -> str:
        text = None if manifest is None else json.dumps(manifest)
        return self._cluster.run_kubectl([*arguments, f"--namespace={self._namespace}"], input=text).stdout

    def start(self, manifest: Manifest) -> None:
        self.kubectl("create", "-f", "-", manifest={**manifest, "metadata": {"name": "run", **manifest["metadata"]}})

    def change(self, kind: str, spec: Manifest) -> None:
        self.kubectl("patch", kind, "run", "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def get(self, kind: str, name: str = "run") -> Manifest:
        found: Manifest = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def all(self, kind: str) -> list[Manifest]:
        found: list[Manifest] = json.loads(self.kubectl("get", kind, "--output=json"))["items"]
        return found

    def pods(self) -> list[Manifest]:
        return self.all("pods")

    def running_pod(self) -> Manifest:
        return eventually(lambda: [pod for pod in self.pods() if pod["status"]["phase"] == "Running"])[0]
