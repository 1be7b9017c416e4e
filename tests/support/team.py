"""A namespace and those who work in it: requests to the API server, as a user sends them."""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kubernetes.config import new_client_from_config

from execution_options.api import decoding
from execution_options.api.names import API_VERSION, CLUSTER_OPTIONS_KIND, GROUP, OPTIONS_KIND, VERSION
from execution_options.kube.client import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

Manifest = dict[str, Any]

_KINDS = {
    "Job": ("batch", "v1", "jobs"),
    "CronJob": ("batch", "v1", "cronjobs"),
    "Pod": ("", "v1", "pods"),
    "ConfigMap": ("", "v1", "configmaps"),
    "ServiceAccount": ("", "v1", "serviceaccounts"),
    OPTIONS_KIND: (GROUP, VERSION, "executionoptions"),
}


class RefusedError(Exception):
    """The API server refused a request; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Team:
    """One namespace.

    Attributes:
        cluster: where it is.
        namespace: its name.
        warnings: what the API server warned of when it answered the last request.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.warnings: list[str] = []
        self._client = new_client_from_config(config_file=str(cluster.kubeconfig), context=cluster.context)
        self._cluster_options: list[str] = []

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", *, user: str = ""
    ) -> Manifest:
        """One request, perhaps of another user; its body may be written already. A refusal is raised."""
        configuration = self._client.configuration
        token = configuration.get_api_key_with_prefix("authorization")
        response = self._client.rest_client.pool_manager.request(
            method,
            f"{configuration.host}{path}",
            body=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Content-Type": content_type}
            | ({"Authorization": token} if token else {})
            | ({"Impersonate-User": user} if user else {}),
            retries=False,
        )
        answer: Manifest = decoding.read(response.data, dict[str, Any])
        self.warnings = response.headers.getlist("Warning")
        if response.status >= 400:
            raise RefusedError(response.status, answer.get("message", ""))
        return answer

    def path(self, kind: str, name: str = "") -> str:
        """The path of an object, or of all of a kind."""
        return path_of(*_KINDS[kind], self.namespace, name)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object."""
        return self.request("POST", self.path(manifest["kind"]) + ("?dryRun=All" if dry_run else ""), manifest)

    def get(self, kind: str, name: str) -> Manifest:
        """Read an object."""
        return self.request("GET", self.path(kind, name))

    def listed(self, kind: str, selector: str = "") -> list[Manifest]:
        """All objects of a kind."""
        items: list[Manifest] = self.request("GET", f"{self.path(kind)}?labelSelector={selector}")["items"]
        return items

    def merge(self, kind: str, name: str, change: Manifest) -> Manifest:
        """Change an object by a merge patch."""
        return self.request("PATCH", self.path(kind, name), change, "application/merge-patch+json")

    def apply(self, manifest: Manifest, manager: str = "flux") -> Manifest:
        """Server-side apply, as GitOps tools do."""
        name = manifest["metadata"]["name"]
        path = f"{self.path(manifest['kind'], name)}?fieldManager={manager}&force=true"
        return self.request("PATCH", path, manifest, "application/apply-patch+yaml")

    def replace(self, manifest: Manifest) -> Manifest:
        """Replace an object."""
        return self.request("PUT", self.path(manifest["kind"], manifest["metadata"]["name"]), manifest)

    def kubectl(self, *arguments: str, manifests: list[Manifest] | None = None, check: bool = True) -> str:
        """What kubectl says, its errors too."""
        text = None if manifests is None else "\n---\n".join(json.dumps(manifest) for manifest in manifests)
        answer = self.cluster.run_kubectl([*arguments, "-n", self.namespace], input=text, check=check)
        return answer.stdout + answer.stderr

    def options(self, name: str, spec: Manifest) -> Manifest:
        """Create ExecutionOptions."""
        return self.create(options_manifest(name, spec))

    def cluster_options(self, name: str, spec: Manifest) -> str:
        """Create ClusterExecutionOptions that reach nobody else; their name."""
        manifest = options_manifest(f"{self.namespace}-{name}", copy.deepcopy(spec))
        manifest["kind"] = CLUSTER_OPTIONS_KIND
        manifest["spec"]["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}
        created = self.request("POST", path_of(GROUP, VERSION, "clusterexecutionoptions"), manifest)
        made: str = created["metadata"]["name"]
        self._cluster_options.append(made)
        return made

    def label_namespace(self, **labels: str) -> None:
        """Label the namespace; underscores stand for dashes, in the domain of this operator."""
        named = {f"{GROUP}/{key.replace('_', '-')}": value for key, value in labels.items()}
        change = {"metadata": {"labels": named}}
        self.request(
            "PATCH", path_of("", "v1", "namespaces", "", self.namespace), change, "application/merge-patch+json"
        )

    def close(self) -> None:
        """Remove what is outside of the namespace, and close the connections."""
        for name in self._cluster_options:
            self.request("DELETE", path_of(GROUP, VERSION, "clusterexecutionoptions", "", name))
        self._client.rest_client.pool_manager.clear()
        self._client.close()


@contextmanager
def working(cluster: Cluster, namespace: str) -> Iterator[Team]:
    """A team, as long as a test takes."""
    team = Team(cluster, namespace)
    try:
        yield team
    finally:
        team.close()


def options_manifest(name: str, spec: Manifest) -> Manifest:
    """ExecutionOptions as a manifest."""
    return {"apiVersion": API_VERSION, "kind": OPTIONS_KIND, "metadata": {"name": name}, "spec": spec}
