"""The CustomResourceDefinitions, made from the model."""

from __future__ import annotations

from typing import Any, Final

from execution_options.api import names
from execution_options.api.rule import by_name
from execution_options.api.schema import Schema, object_schema

CATEGORY: Final = "execution-options"
"""``kubectl get execution-options -A`` lists the options of both kinds."""

_NAMES: Final[dict[str, dict[str, Any]]] = {
    names.OPTIONS_KIND: {
        "kind": names.OPTIONS_KIND,
        "listKind": f"{names.OPTIONS_KIND}List",
        "plural": names.OPTIONS_PLURAL,
        "singular": names.OPTIONS_PLURAL,
        "shortNames": ["eo"],
        "categories": [CATEGORY],
    },
    names.CLUSTER_OPTIONS_KIND: {
        "kind": names.CLUSTER_OPTIONS_KIND,
        "listKind": f"{names.CLUSTER_OPTIONS_KIND}List",
        "plural": names.CLUSTER_OPTIONS_PLURAL,
        "singular": names.CLUSTER_OPTIONS_PLURAL,
        "shortNames": ["ceo"],
        "categories": [CATEGORY],
    },
}
_SCOPES: Final = {names.OPTIONS_KIND: "Namespaced", names.CLUSTER_OPTIONS_KIND: "Cluster"}

KINDS: Final = tuple(_NAMES)


def _column(name: str, path: str, description: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


_READY: Final = ".status.conditions[?(@.type=='Ready')]"
_COLUMNS: Final = (
    _column("Ready", f"{_READY}.status", "Whether the options work as written."),
    _column("Engines", ".spec.selector.engines", "Engines whose executions are selected; empty: any."),
    _column("Account", ".spec.securityContext.runAs.k8sServiceAccount", "Service account of the pods."),
    _column("Parallelism", ".spec.maxParallelism", "Cap on running task pods; 0: unlimited.", kind="integer"),
    _column("Active", ".status.executions.active", "Executions that have not ended.", kind="integer"),
    _column("Finished", ".status.executions.finished", "Executions that have ended.", kind="integer", wide=True),
    _column("Mode", ".spec.mode", "Default (also when empty) or Enforce.", wide=True),
    _column("Priority", ".spec.priority", "Higher wins within a level.", kind="integer", wide=True),
    _column("Prefix", ".spec.rawOutputDataConfig.outputLocationPrefix", "Storage prefix.", wide=True),
    _column("Reason", f"{_READY}.reason", "Why the options are ready, or not.", wide=True),
    _column("Message", f"{_READY}.message", "What to know about it.", wide=True),
    _column("Age", ".metadata.creationTimestamp", "Time since creation.", kind="date"),
)


def _with_rules(node: Schema) -> Schema:
    """The node with its rules, by name until here, as ``x-kubernetes-validations``."""
    result = {key: value for key, value in node.items() if key != "x-rules"}
    if "x-rules" in node:
        result["x-kubernetes-validations"] = [by_name(name).as_validation() for name in node["x-rules"]]
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = _with_rules(result[key])
    if "properties" in result:
        result["properties"] = {name: _with_rules(child) for name, child in result["properties"].items()}
    return result


def crd(kind: str, *, group: str = names.GROUP) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, as a manifest; KeyError for an unknown kind.

    Another ``group`` gives the same API beside the installed one, which is how an upgrade is tried.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{_NAMES[kind]['plural']}.{group}",
            "labels": {"app.kubernetes.io/name": "execution-options"},
        },
        "spec": {
            "group": group,
            "names": dict(_NAMES[kind]),
            "scope": _SCOPES[kind],
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _with_rules(object_schema(kind))},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [dict(column) for column in _COLUMNS],
                }
            ],
        },
    }


def crds() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of every kind."""
    return [crd(kind) for kind in KINDS]
