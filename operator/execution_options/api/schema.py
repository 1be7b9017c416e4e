"""The structural schema of the API, generated from the model.

``msgspec`` generates a JSON schema with references. Kubernetes needs one tree without them. It has no ``default``, with
which GitOps tools would see a difference between the applied and the stored object.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from execution_options.api import names
from execution_options.api.kinds import KINDS
from execution_options.api.rule import check

if TYPE_CHECKING:
    from execution_options.api.base import Resource

Schema = dict[str, Any]

_DROPPED: Final = frozenset({"title", "default"})
_INT32: Final = 2**31 - 1

_METADATA: Final = {
    "apiVersion": {
        "type": "string",
        "description": f"Version of the API that this object is written in: {names.API_VERSION}.",
    },
    "kind": {"type": "string", "description": "Kind of this object."},
    "metadata": {"type": "object"},
}


def _structural(node: Schema, defs: dict[str, Schema]) -> Schema:
    """Return the node without references and without keywords that a structural schema cannot have."""
    if "$ref" in node:
        target = copy.deepcopy(defs[node["$ref"].removeprefix("#/$defs/")])
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    # Unknown fields are pruned or refused by the API server itself.
    if result.get("additionalProperties") is False:
        del result["additionalProperties"]
    if not result.get("required", True):
        del result["required"]
    if "enum" in result:
        result["type"] = "string"
    if result.get("type") == "integer":
        result["format"] = "int32" if result.get("maximum", _INT32 + 1) <= _INT32 else "int64"
    if "items" in result:
        result["items"] = _structural(result["items"], defs)
    if "additionalProperties" in result:
        result["additionalProperties"] = _structural(result["additionalProperties"], defs)
    if "properties" in result:
        result["properties"] = {name: _structural(child, defs) for name, child in result["properties"].items()}
        if not result["properties"]:
            del result["properties"]
    return result


def _of(model: type[Resource]) -> Schema:
    (reference,), defs = msgspec.json.schema_components([model])
    return _structural(reference, defs)


@cache
def _shared(kind: str) -> Schema:
    of = KINDS[kind]
    root: Schema = {
        "type": "object",
        "description": of.description,
        "required": ["spec"],
        "properties": copy.deepcopy(_METADATA)
        | {
            "spec": _of(of.spec) | (check(*of.spec_rules) if of.spec_rules else {}),
            "status": _of(of.status),
        },
    }
    return root | (check(*of.rules) if of.rules else {})


def object_schema(kind: str) -> Schema:
    """Return the schema of a whole object, with rules by name under ``x-rules``.

    Raises:
        KeyError: the kind is not one of ours.
    """
    return copy.deepcopy(_shared(kind))


def spec_schema(kind: str) -> Schema:
    """Return the schema of the spec of a kind. It is shared: do not change it.

    Raises:
        KeyError: the kind is not one of ours.
    """
    schema: Schema = _shared(kind)["properties"]["spec"]
    return schema
