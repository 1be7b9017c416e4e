"""The kinds of engines in a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from support.crds import wait_established

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.api.related_kinds import LaunchPlanKind, SpecificationKind
    from execution_options.cluster import Cluster
    from execution_options.engines.profile import Engine

    Kind = Engine | SpecificationKind | LaunchPlanKind

PUBLISHED = Path(__file__).parents[3] / "shared" / "engine-crds"
"""The engines' real definitions, where they are beside the project."""

_DEFINITIONS = "customresourcedefinition.apiextensions.k8s.io"


def definition(kind: Kind) -> str:
    name = f"{kind.plural}.{kind.group}"
    published = PUBLISHED / f"{kind.group}_{kind.plural}.yaml"
    if published.exists():
        return published.read_text()
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": kind.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    version |= {"subresources": {"status": {}}}
    spec = {
        "group": kind.group,
        "scope": "Cluster" if getattr(kind, "cluster_scoped", False) else "Namespaced",
        "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()},
        "versions": [version],
    }
    document = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    # Kubernetes protects groups below k8s.io.
    approval = {"api-approved.kubernetes.io": "unapproved, for a test"}
    return json.dumps(document | {"metadata": {"name": name, "annotations": approval}, "spec": spec})


def install_kinds(cluster: Cluster, kinds: Iterable[Kind]) -> None:
    """Install the definitions of kinds, and wait until objects of theirs can be created.

    What is there already stays as it is: the engine's own controller may run with it, and a change of it would be
    served some time later.
    """
    wanted = {f"{_DEFINITIONS}/{kind.plural}.{kind.group}": kind for kind in kinds}
    found = cluster.run_kubectl(["get", "--ignore-not-found", "-o", "name", *wanted]).stdout.split()
    missing = [kind for name, kind in wanted.items() if name not in found]
    if missing:
        # What begins with JSON would be read as nothing but that.
        definitions = "---\n" + "\n---\n".join(map(definition, missing))
        cluster.run_kubectl(["apply", "--server-side", "-f", "-"], input=definitions)
    wait_established(cluster, [f"{kind.plural}.{kind.group}" for kind in wanted.values()])
