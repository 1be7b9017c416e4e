"""Our CustomResourceDefinitions in a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from execution_options.api.crd import crds
from execution_options.cluster import ClusterError
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.cluster import Cluster


def install_crds(cluster: Cluster, manifests: list[dict[str, Any]] | None = None) -> None:
    """Install the CRDs (ours, unless others are given) and wait until objects of theirs can be created."""
    manifests = crds() if manifests is None else manifests
    cluster.run_kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], input=yaml.safe_dump_all(manifests))
    wait_established(cluster, [manifest["metadata"]["name"] for manifest in manifests])


def wait_established(cluster: Cluster, names: Iterable[str]) -> None:
    """Wait until objects of the definitions with these names can be created."""
    wait = ["wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names)]
    # kubectl gives up on a definition so new that its list of conditions is null.
    eventually(lambda: cluster.run_kubectl(wait), retry_on=(ClusterError,))
