"""Whose owner references are believed.

Controllers create the parts of executions, so the owners that they write are believed. Anybody else could write an
owner reference to exempt an execution from enforced options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

CLUSTER_CONTROLLERS: Final = ("system:serviceaccounts:kube-system", "system:kube-controller-manager", "system:nodes")
"""Users and groups of the cluster's own controllers."""

ENGINE_CONTROLLERS: Final = tuple(
    f"system:serviceaccount:{account}"
    for account in (
        "argo:argo",
        "argo:argo-workflows-workflow-controller",
        "argo-workflows:argo-workflows-workflow-controller",
        "flyte:flytepropeller",
        "jobset-system:jobset-controller-manager",
        "kubeflow-system:jobset-controller-manager",
        "kubeflow-system:kubeflow-trainer-controller-manager",
        "kubeflow:argo",
        "kubeflow:training-operator",
        "kuberay-operator:kuberay-operator",
        "kuberay-system:kuberay-operator",
        "mpi-operator:mpi-operator",
        "openshift-pipelines:tekton-pipelines-controller",
        "ray-system:kuberay-operator",
        "spark-operator:spark-operator-controller",
        "tekton-pipelines:tekton-pipelines-controller",
    )
)
"""Users of the engines' controllers, as the engines' own manifests and charts name them.

None is of a namespace that people work in, such as ``default``.
"""


def filled(expression: str, engine_controllers: Sequence[str]) -> str:
    """A CEL expression with lists in the place of ``CLUSTER_CONTROLLERS`` and ``ENGINE_CONTROLLERS``."""
    for word, names in (("CLUSTER_CONTROLLERS", CLUSTER_CONTROLLERS), ("ENGINE_CONTROLLERS", engine_controllers)):
        expression = expression.replace(word, msgspec.json.encode(names).decode())
    return expression
