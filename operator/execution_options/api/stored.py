"""Specs as the API server has stored them, perhaps written by a newer version of the operator."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.rule import by_name
from execution_options.api.schema import Schema, spec_schema
from execution_options.api.shape import child_path, child_schema, duplicates
from execution_options.api.size import SNAPSHOT_SIZE
from execution_options.api.validation import OPTIONS, decoded, without_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from msgspec import Raw

    from execution_options.api.model import ExecutionOptionsSpec


def read_spec(spec: Raw, kind: str) -> tuple[ExecutionOptionsSpec, tuple[str, ...]]:
    """Decode the spec of stored options.

    A spec that fits the model and breaks no rule, as nearly all do, is decoded without a walk through the schema.

    Args:
        spec: JSON.
        kind: a key of :data:`OPTIONS`.

    Returns:
        The typed spec, and the paths of fields that this version does not know.

    Raises:
        InvalidOptionsError: a known field has a value that this version does not understand.
        UnreadableError: it is not a JSON object.
    """
    with contextlib.suppress(UnreadableError):
        found = decoding.read(spec, OPTIONS[kind], prune=False)
        if _rule_check(kind)(decoding.read(spec, object)):
            return found, ()
    known, unknown = unknown_fields(decoding.read_object(spec), kind)
    return decoded(known, kind, stored=True), unknown


def unknown_fields(spec: Mapping[str, Any], kind: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Remove fields that this version does not know: a newer version of the operator may have written them.

    Args:
        spec: plain data.
        kind: a kind of ours.

    Returns:
        The spec without these fields, and their paths.

    Raises:
        KeyError: the kind is not one of ours.
    """
    paths: list[str] = []
    pruned = _pruned(spec_schema(kind), spec, "spec", paths)
    return pruned, tuple(paths)


@cache
def _rule_check(kind: str) -> Callable[[Any], object]:
    """Return a function that is true for a stored spec of the right shape that breaks no rule."""
    return _part_check(without_rules(spec_schema(kind), (SNAPSHOT_SIZE,))) or (lambda _: True)


def _part_check(schema: Schema) -> Callable[[Any], object] | None:
    """Return a function that is true for a value that breaks no rule of the schema; ``None`` if it has no rules."""
    rules = [by_name(name).keeps() for name in schema.get("x-rules", ())]
    fields = {name: check for name, below in schema.get("properties", {}).items() if (check := _part_check(below))}
    every = _part_check(schema["additionalProperties"]) if "additionalProperties" in schema else None
    item = _part_check(schema["items"]) if "items" in schema else None
    has_identity = schema.get("x-kubernetes-list-type") in ("set", "map")

    def keeps(value: Any) -> bool:
        for rule in rules:
            if not rule(value):
                return False
        for name, check in fields.items():
            if name in value and not check(value[name]):
                return False
        if every is not None and not all(map(every, value.values())):
            return False
        if item is not None and not all(map(item, value)):
            return False
        return not has_identity or next(duplicates(schema, value, ""), None) is None

    if len(rules) == 1 and not (fields or every or item or has_identity):
        return rules[0]
    return keeps if rules or fields or every or item or has_identity else None


def _pruned(schema: Schema, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, dict) and schema.get("type") == "object":
        kept = {}
        for key, child in value.items():
            if (below := child_schema(schema, key)) is None:
                unknown.append(child_path(path, key))
            else:
                kept[key] = _pruned(below, child, child_path(path, key, schema), unknown)
        return kept
    if isinstance(value, list | tuple) and "items" in schema:
        return [_pruned(schema["items"], item, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    return value
