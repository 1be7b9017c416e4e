"""The CustomResourceDefinitions, generated from the model."""

from __future__ import annotations

from typing import Any

from execution_options.api import names
from execution_options.api.kinds import KINDS
from execution_options.api.rule import by_name
from execution_options.api.schema import Schema, object_schema


def _with_rules(node: Schema) -> Schema:
    """Return the node with ``x-kubernetes-validations`` instead of names of rules."""
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
    """Return the CustomResourceDefinition of a kind as a manifest.

    Args:
        kind: a kind of ours.
        group: another API group gives the same API beside the installed one, to try an upgrade.

    Raises:
        KeyError: the kind is not one of ours.
    """
    of = KINDS[kind]
    listed = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": of.plural,
        "singular": kind.lower(),
        "shortNames": [of.short_name],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{of.plural}.{group}",
            "labels": {"app.kubernetes.io/name": "execution-options"},
        },
        "spec": {
            "group": group,
            "names": listed | ({"categories": [of.category]} if of.category else {}),
            "scope": of.scope,
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _with_rules(object_schema(kind))},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [dict(column) for column in of.columns],
                    **({"selectableFields": [{"jsonPath": path} for path in of.selectable]} if of.selectable else {}),
                }
            ],
        },
    }


def crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of all kinds."""
    return [crd(kind) for kind in KINDS]
