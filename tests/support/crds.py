"""Our CustomResourceDefinitions in a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from execution_options.api.crd import crds

if TYPE_CHECKING:
    from execution_options.cluster import Cluster


def install_crds(cluster: Cluster, manifests: list[dict[str, Any]] | None = None) -> None:
    """Install the CRDs (ours, unless others are given) and wait until objects of theirs can be created."""
    manifests = crds() if manifests is None else manifests
    cluster.run_kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], input=yaml.safe_dump_all(manifests))
    installed = [f"crd/{manifest['metadata']['name']}" for manifest in manifests]
    cluster.run_kubectl(["wait", "--for=condition=Established", "--timeout=30s", *installed])
