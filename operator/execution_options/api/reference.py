"""The reference of every field in Markdown, generated from the same schema as the CRDs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.api import names
from execution_options.api.kinds import KINDS
from execution_options.api.rule import by_name
from execution_options.api.schema import Schema, object_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION: Final = f"""\
# Reference of the API `{names.API_VERSION}`

Every field of {", ".join(f"`{kind}`" for kind in KINDS)}: its type, meaning and bounds, and the messages with which \
`kubectl apply` refuses a wrong value. `kubectl explain` shows the same text, for example \
`kubectl explain executionoptions.spec`. The API server writes no defaults into the objects: the description of a \
field tells what its absence means.

This page is generated from the model by `make manifests`.
"""


def reference() -> str:
    """Return the page."""
    options, cluster = object_schema(names.OPTIONS_KIND), object_schema(names.CLUSTER_OPTIONS_KIND)
    common = set(options["properties"]["spec"]["properties"])
    added = {name: node for name, node in cluster["properties"]["spec"]["properties"].items() if name not in common}
    parts = [
        _INTRODUCTION,
        f"## {names.OPTIONS_KIND}\n",
        _summary(names.OPTIONS_KIND, options),
        _refusals(options["properties"]["spec"]),
        *_section(options["properties"]["spec"], "spec"),
        f"## {names.CLUSTER_OPTIONS_KIND}\n",
        _summary(names.CLUSTER_OPTIONS_KIND, cluster),
        f"Its spec has every field of `{names.OPTIONS_KIND}`, and:\n",
        *_section({"properties": added}, "spec"),
        "## Status of both options\n",
        f"{options['properties']['status']['description']}\n",
        *_section(options["properties"]["status"], "status"),
        *(part for kind in KINDS if kind not in names.PLURALS for part in _own(kind)),
    ]
    return "\n".join(parts)


def _own(kind: str) -> Iterator[str]:
    """Yield the sections of a kind that shares none with another."""
    spec, status = (object_schema(kind)["properties"][part] for part in ("spec", "status"))
    yield f"## {kind}\n"
    yield _summary(kind, object_schema(kind))
    if refusals := _refusals(spec):
        yield refusals
    yield from _section(spec, "spec")
    yield f"### Status of {kind}\n"
    yield f"{status['description']}\n"
    yield from _section(status, "status")


def _summary(kind: str, schema: Schema) -> str:
    of = KINDS[kind]
    about = f"{of.scope}; short name `{of.short_name}`" + (
        f"; together with others: `kubectl get {of.category}`.\n" if of.category else ".\n"
    )
    return "\n".join([f"{schema['description']}\n", about, *([_refusals(schema)] if "x-rules" in schema else [])])


def _section(schema: Schema, path: str) -> Iterator[str]:
    """Yield the fields of an object, each followed by those below it."""
    required = schema.get("required", ())
    for name, node in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield f"### `{here}`\n"
        yield f"{_type(node)}{', required' if name in required else ''}{_bounds(node)}.\n"
        yield f"{_prose(node['description'])}\n"
        if refusals := _refusals(node):
            yield refusals
        below = node.get("items", node)
        yield from _section(below, f"{here}[]" if "items" in node else here)


def _type(node: Schema) -> str:
    match node["type"]:
        case "array":
            return f"List of {_plural(node['items'])}"
        case "object" if "additionalProperties" in node:
            return f"Map of {_plural(node['additionalProperties'])}"
        case "integer":
            return "Whole number"
        case "string" if node.get("format") == "date-time":
            return "Time (RFC 3339)"
        case "string" if "enum" in node:
            return f"One of {_enum(node)}"
    return str(node["type"]).capitalize()


def _plural(node: Schema) -> str:
    text = f"{node['type']}s"
    if "enum" in node:
        return f"{text}, each one of {_enum(node)}"
    if "maxLength" in node:
        text += f" of at most {node['maxLength']} characters"
    return text


def _enum(node: Schema) -> str:
    return ", ".join(f"`{value}`" for value in node["enum"])


def _bounds(node: Schema) -> str:
    bounds: list[str] = []
    for keyword, unit in (("maxProperties", "entries"), ("maxItems", "items"), ("maxLength", "characters")):
        if keyword in node:
            bounds.append(f"at most {node[keyword]} {unit}")
    if "minimum" in node and "maximum" in node:
        bounds.append(f"from {node['minimum']} to {node['maximum']}")
    elif "maximum" in node:
        bounds.append(f"at most {node['maximum']}")
    match node.get("x-kubernetes-list-type"):
        case "set":
            bounds.append("no duplicates")
        case "map":
            bounds.append(f"one for each {node['x-kubernetes-list-map-keys'][0]}")
    return "".join(f"; {bound}" for bound in bounds)


def _refusals(node: Schema) -> str:
    """Return the messages of the rules on a field, on its keys and on its items or values."""
    nodes: tuple[dict[str, Any], ...] = (node, node.get("items", {}), node.get("additionalProperties", {}))
    messages = [by_name(name).message for part in nodes for name in part.get("x-rules", ())]
    if not messages:
        return ""
    return "\n".join(["Refused with:", "", *(f"- {_prose(message)}" for message in messages), ""])


def _prose(text: str) -> str:
    """Return a text with the markup of Markdown escaped."""
    return text.replace("*", r"\*").replace("_", r"\_").replace("<", "&lt;")
