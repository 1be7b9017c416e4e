"""Types and bounds of a structural schema, as the API server checks them.

Messages are our own, since the API server's ("in body should be …") are not made for people.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from execution_options.api.problem import Problem, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from execution_options.api.schema import Schema


def shape_problems(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    """Yield each violation of a type or a bound.

    Args:
        schema: a structural schema or a part of it.
        value: plain data without nulls (:func:`without_nulls`).
        path: where the value is, as in :attr:`Problem.path`.
    """
    match schema.get("type"):
        case "object":
            yield from _object_shape(schema, value, path)
        case "array":
            yield from _array_shape(schema, value, path)
        case "string":
            yield from _string_shape(schema, value, path)
        case "integer":
            yield from _integer_shape(schema, value, path)
        case "boolean" if not isinstance(value, bool):
            yield _wrong_type("true or false", value, path)


def _object_shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield _wrong_type("a map", value, path)
        return
    if len(value) > schema.get("maxProperties", len(value)):
        yield Problem(path, f"has {len(value)} entries; at most {schema['maxProperties']} are possible")
    for name in schema.get("required", ()):
        if name not in value:
            yield Problem(child_path(path, name), "is required")
    for key, child in value.items():
        if not isinstance(key, str):
            yield Problem(path, f"keys must be strings, not {shown(key)}")
        elif (below := child_schema(schema, key)) is not None:
            yield from shape_problems(below, child, child_path(path, key, schema))
        else:
            yield Problem(child_path(path, key), "unknown field")


def _array_shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, list | tuple):
        yield _wrong_type("a list", value, path)
        return
    if len(value) > schema.get("maxItems", len(value)):
        yield Problem(path, f"has {len(value)} items; at most {schema['maxItems']} are possible")
    for index, item in enumerate(value):
        yield from shape_problems(schema["items"], item, f"{path}[{index}]")
    yield from duplicates(schema, value, path)


def duplicates(schema: Schema, value: Sequence[Any], path: str) -> Iterator[Problem]:
    """Yield a problem for each item that repeats another one of a set, or of a map by its keys.

    Args:
        schema: of the list, with ``x-kubernetes-list-type``.
        value: the list.
        path: of the list.
    """
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return
    seen: Counter[str | tuple[str, ...]] = Counter()
    for index, item in enumerate(value):
        if (identity := _identity(schema, item)) is not None:
            seen[identity] += 1
            if seen[identity] == 2:  # one problem, however often it is repeated
                repeated = json.dumps(identity)
                if isinstance(identity, tuple):
                    named = dict(zip(schema["x-kubernetes-list-map-keys"], identity, strict=True))
                    repeated = json.dumps(named, separators=(",", ":"))
                yield Problem(f"{path}[{index}]", f"Duplicate value: {repeated}")


def _identity(schema: Schema, item: object) -> str | tuple[str, ...] | None:
    """Return what must be unique in the list; ``None`` if the item has no such value."""
    if isinstance(item, str):
        return item
    if not isinstance(item, dict) or "x-kubernetes-list-map-keys" not in schema:
        return None
    keys = schema["x-kubernetes-list-map-keys"]
    identity = tuple(part for key in keys if isinstance(part := item.get(key), str))
    return identity if len(identity) == len(keys) else None


def _string_shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        # YAML reads an unquoted true, yes, 1.0 or 2024-01-01 as another type.
        hint = "" if value is None or isinstance(value, dict | list | tuple) else ": quote it"
        yield _wrong_type("a string", value, path, hint)
    elif len(value) > schema.get("maxLength", len(value)):
        yield Problem(path, f"has {len(value)} characters; at most {schema['maxLength']} are possible")
    elif "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(json.dumps(item) for item in schema["enum"])
        yield Problem(path, f"Unsupported value: {shown(value)}: supported values: {supported}")


def _integer_shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield _wrong_type("a whole number", value, path)
        return
    # A number without bounds has those of its format.
    limit = 2**31 if schema["format"] == "int32" else 2**63
    lowest, highest = schema.get("minimum", -limit), schema.get("maximum", limit - 1)
    if not lowest <= value <= highest:
        yield Problem(path, f"must be from {lowest} to {highest}")


def without_nulls(schema: Schema, value: Any) -> Any:
    """Return the value without null fields, which the API server treats as absent.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
    """
    if isinstance(value, dict):
        known = ((key, child, child_schema(schema, key)) for key, child in value.items())
        return {
            key: child if below is None else without_nulls(below, child)
            for key, child, below in known
            if child is not None or below is None
        }
    if isinstance(value, list | tuple) and "items" in schema:
        return [without_nulls(schema["items"], item) for item in value]
    return value


def child_schema(schema: Schema, key: str) -> Schema | None:
    """Return the schema of an entry of an object; ``None`` for an unknown field."""
    below: Schema | None = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    return below


def child_path(path: str, key: str, schema: Schema | None = None) -> str:
    """Return the path of an entry: ``path[key]`` in a free-form map (``schema`` says so), otherwise ``path.key``."""
    if schema is not None and "additionalProperties" in schema:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _wrong_type(wanted: str, value: object, path: str, hint: str = "") -> Problem:
    return Problem(path, f"must be {wanted}, not {shown(value)}{hint}")
