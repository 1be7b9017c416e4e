"""Definition of a kind of object: its names, its model and how kubectl prints it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from execution_options.api.base import Resource
from execution_options.api.rule import Rule


class Kind(Struct, frozen=True, kw_only=True):
    """One kind; the CRD, the reference and validation in Python are made from it.

    Attributes:
        rules: on the object as a whole.
        spec_rules: on its spec.
        columns: what ``kubectl get`` prints; see :func:`column`.
        category: ``kubectl get <category>`` lists it together with others.
        selectable: fields by which the API server can select (field selectors).
    """

    kind: str
    plural: str
    short_name: str
    scope: Literal["Namespaced", "Cluster"]
    description: str
    spec: type[Resource]
    status: type[Resource]
    columns: tuple[dict[str, Any], ...]
    rules: tuple[Rule, ...] = ()
    spec_rules: tuple[Rule, ...] = ()
    category: str = ""
    selectable: tuple[str, ...] = ()


def column(name: str, path: str, description: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    """Return a column of ``kubectl get``.

    Args:
        name: its head.
        path: JSONPath of the value.
        description: of the column.
        kind: type of the value, as OpenAPI names it.
        wide: whether it is shown with ``-o wide`` only.
    """
    made: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return made | ({"priority": 1} if wide else {})


READY = ".status.conditions[?(@.type=='Ready')]"
"""JSONPath of the condition Ready."""
PROBLEM_COLUMN = column("Problem", ".status.problem.reason", "The most urgent problem; empty: there is none.")
PROBLEM_MESSAGE = column("Details", ".status.problem.message", "Details of the problem.", wide=True)
AGE = column("Age", ".metadata.creationTimestamp", "Time since creation.", kind="date")
