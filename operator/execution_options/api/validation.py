"""The checks of the API server in Python: the schema's shape and bounds, then the rules.

For users who write options in Python, for previews without a cluster, and as the controller's second
line. Rules say the same text as the API server; types and bounds say it in their own words, since the
API server's ("in body should be …") are not made for people.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from execution_options.api import decoding, names
from execution_options.api.base import Resource
from execution_options.api.decoding import UnreadableError
from execution_options.api.model import ClusterExecutionOptionsSpec, ExecutionOptionsSpec
from execution_options.api.rule import by_name
from execution_options.api.schema import Schema, object_schema, spec_schema
from execution_options.api.size import SNAPSHOT_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from msgspec import Raw

    from execution_options.api.rule import Rule

T = TypeVar("T", bound=Resource)

OPTIONS: Final[dict[str, type[ExecutionOptionsSpec]]] = {
    names.OPTIONS_KIND: ExecutionOptionsSpec,
    names.CLUSTER_OPTIONS_KIND: ClusterExecutionOptionsSpec,
}
"""The kinds of options, and the model of the spec of each."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: a path as the API server writes it, such as ``spec.envs[0].name``.

    ``value`` is the text or number that a rule does not allow, where it is one.
    """

    path: str
    message: str
    value: str | int | None = None

    def __str__(self) -> str:
        shown = "" if self.value is None else f"{_shown(self.value)}: "
        return f"{self.path}: {shown}{self.message}" if self.path else f"{shown}{self.message}"


class InvalidOptionsError(ValueError):
    """The manifest is not a valid one of our kinds; ``problems`` holds everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def problems(spec: Mapping[str, Any] | Resource, kind: str, *, without: Collection[Rule] = ()) -> list[Problem]:
    """Everything that is wrong with a spec, as plain data or typed; an empty list if nothing is.

    As with the API server, rules are checked only once types and bounds are right. KeyError for a
    kind that is not one of ours. ``without`` are rules on the spec as a whole that do not count.
    """
    value = msgspec.to_builtins(spec) if isinstance(spec, Resource) else spec
    return _problems(_without_rules(spec_schema(kind), without), value, "spec")


def manifest_problems(manifest: Mapping[str, Any], kinds: Collection[str] = OPTIONS.keys()) -> list[Problem]:
    """Everything that is wrong with a manifest of one of ``kinds``: version, kind, name and spec."""
    kind = manifest.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        return [Problem("kind", f"must be one of {', '.join(kinds)}, not {_shown(kind)}")]
    if manifest.get("apiVersion") != names.API_VERSION:
        return [Problem("apiVersion", f"must be {names.API_VERSION}, not {_shown(manifest.get('apiVersion'))}")]
    schema = object_schema(kind)
    # The API server checks metadata by itself, and ignores the status in what a user applies.
    schema["properties"] |= {"metadata": {"type": "object", "additionalProperties": {}}, "status": {}}
    return _problems(schema, manifest, "")


def decoded(spec: Mapping[str, Any], kind: str, *, stored: bool = False) -> ExecutionOptionsSpec:
    """The typed spec of options; InvalidOptionsError, with every problem, where it is not valid.

    What is ``stored`` may be older than the rule on its size, which asks for a little more than is needed.
    """
    return typed(spec, kind, OPTIONS[kind], without=(SNAPSHOT_SIZE,) if stored else ())


def typed(spec: Mapping[str, Any], kind: str, model: type[T], *, without: Collection[Rule] = ()) -> T:
    """The spec of a kind as its model; InvalidOptionsError, with every problem, where it is not valid."""
    found = problems(spec, kind, without=without)
    if found:
        raise InvalidOptionsError(found)
    try:
        return msgspec.convert(_without_nulls(spec_schema(kind), spec), model)
    except msgspec.ValidationError as error:  # what msgspec knows better than the schema
        raise InvalidOptionsError([Problem("spec", str(error))]) from error


def read_stored(spec: Raw, kind: str) -> tuple[ExecutionOptionsSpec, tuple[str, ...]]:
    """The typed spec of stored options as :func:`decoded`, and the paths of fields that this version does not know.

    What the model can hold and breaks no rule is decoded without a look at the schema.

    Raises:
        InvalidOptionsError: it cannot be understood.
        UnreadableError: it is no JSON object.
    """
    with contextlib.suppress(UnreadableError):
        found = decoding.read(spec, OPTIONS[kind], prune=False)
        if _rule_keeper(kind)(decoding.read(spec, object)):
            return found, ()
    known, unknown = unknown_fields(decoding.read_object(spec), kind)
    return decoded(known, kind, stored=True), unknown


@cache
def _rule_keeper(kind: str) -> Callable[[Any], object]:
    """Tells whether a stored spec whose shape is right breaks no rule; it takes no note of where it does."""
    return _keeper(_without_rules(spec_schema(kind), (SNAPSHOT_SIZE,))) or (lambda _: True)


def _keeper(schema: Schema) -> Callable[[Any], object] | None:
    """The same for any part of a schema; ``None`` where there is no rule in it."""
    rules = [by_name(name).keeps() for name in schema.get("x-rules", ())]
    fields = {name: keeper for name, below in schema.get("properties", {}).items() if (keeper := _keeper(below))}
    every = _keeper(schema["additionalProperties"]) if "additionalProperties" in schema else None
    item = _keeper(schema["items"]) if "items" in schema else None
    has_identity = schema.get("x-kubernetes-list-type") in ("set", "map")

    def keeps(value: Any) -> bool:
        for rule in rules:
            if not rule(value):
                return False
        for name, keeper in fields.items():
            if name in value and not keeper(value[name]):
                return False
        if every is not None and not all(map(every, value.values())):
            return False
        if item is not None and not all(map(item, value)):
            return False
        return not has_identity or next(_duplicates(schema, value, ""), None) is None

    if len(rules) == 1 and not (fields or every or item or has_identity):
        return rules[0]
    return keeps if rules or fields or every or item or has_identity else None


def unknown_fields(spec: Mapping[str, Any], kind: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The spec without fields that this version does not know, and their paths.

    A stored object may come from a newer version of the operator; what that added is not an error.
    """
    paths: list[str] = []
    pruned = _pruned(spec_schema(kind), spec, "spec", paths)
    return pruned, tuple(paths)


def _without_rules(schema: Schema, without: Collection[Rule]) -> Schema:
    if not without or "x-rules" not in schema:
        return schema
    names_without = {rule.name for rule in without}
    return schema | {"x-rules": [name for name in schema["x-rules"] if name not in names_without]}


def _problems(schema: Schema, value: object, path: str) -> list[Problem]:
    value = _without_nulls(schema, value)
    return list(_shape(schema, value, path)) or list(_rules(schema, value, path))


def _without_nulls(schema: Schema, value: Any) -> Any:
    """The value as the API server takes it, for which a field that is null is absent."""
    if isinstance(value, dict):
        known = ((key, child, _below(schema, key)) for key, child in value.items())
        return {
            key: child if below is None else _without_nulls(below, child)
            for key, child, below in known
            if child is not None or below is None
        }
    if isinstance(value, list | tuple) and "items" in schema:
        return [_without_nulls(schema["items"], item) for item in value]
    return value


def _shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
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
            yield Problem(_child(path, name), "is required")
    for key, child in value.items():
        if not isinstance(key, str):
            yield Problem(path, f"keys must be strings, not {_shown(key)}")
        elif (below := _below(schema, key)) is not None:
            yield from _shape(below, child, _child(path, key, schema))
        else:
            yield Problem(_child(path, key), "unknown field")


def _array_shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, list | tuple):
        yield _wrong_type("a list", value, path)
        return
    if len(value) > schema.get("maxItems", len(value)):
        yield Problem(path, f"has {len(value)} items; at most {schema['maxItems']} are possible")
    for index, item in enumerate(value):
        yield from _shape(schema["items"], item, f"{path}[{index}]")
    yield from _duplicates(schema, value, path)


def _duplicates(schema: Schema, value: Sequence[Any], path: str) -> Iterator[Problem]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return
    seen: Counter[str | tuple[str, ...]] = Counter()
    for index, item in enumerate(value):
        if (identity := _identity(schema, item)) is not None:
            seen[identity] += 1
            if seen[identity] == 2:  # told once, however many there are
                shown = json.dumps(identity)
                if isinstance(identity, tuple):
                    named = dict(zip(schema["x-kubernetes-list-map-keys"], identity, strict=True))
                    shown = json.dumps(named, separators=(",", ":"))
                yield Problem(f"{path}[{index}]", f"Duplicate value: {shown}")


def _identity(schema: Schema, item: object) -> str | tuple[str, ...] | None:
    """What tells the items of the list apart; None where nothing does."""
    if isinstance(item, str):
        return item
    if not isinstance(item, dict) or "x-kubernetes-list-map-keys" not in schema:
        return None
    keys = schema["x-kubernetes-list-map-keys"]
    identity = tuple(part for key in keys if isinstance(part := item.get(key), str))
    return identity if len(identity) == len(keys) else None


def _string_shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        # Unquoted, YAML takes true, yes, 1.0 or 2024-01-01 for something else.
        hint = "" if value is None or isinstance(value, dict | list | tuple) else ": quote it"
        yield _wrong_type("a string", value, path, hint)
    elif len(value) > schema.get("maxLength", len(value)):
        yield Problem(path, f"has {len(value)} characters; at most {schema['maxLength']} are possible")
    elif "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(json.dumps(item) for item in schema["enum"])
        yield Problem(path, f"Unsupported value: {_shown(value)}: supported values: {supported}")


def _integer_shape(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield _wrong_type("a whole number", value, path)
        return
    # Without a bound of its own a number has that of its format.
    limit = 2**31 if schema["format"] == "int32" else 2**63
    lowest, highest = schema.get("minimum", -limit), schema.get("maximum", limit - 1)
    if not lowest <= value <= highest:
        yield Problem(path, f"must be from {lowest} to {highest}")


def _rules(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    """What the rules say of a value whose shape is right."""
    for name in schema.get("x-rules", ()):
        rule = by_name(name)
        if message := rule.broken(value):
            scalar = value if isinstance(value, str | int) else None
            yield Problem(_child(path, rule.field) if rule.field else path, message, scalar)
    if isinstance(value, dict):
        for key, child in value.items():
            if (below := _below(schema, key)) is not None:
                yield from _rules(below, child, _child(path, key, schema))
    elif isinstance(value, list | tuple) and "items" in schema:
        for index, item in enumerate(value):
            yield from _rules(schema["items"], item, f"{path}[{index}]")


def _pruned(schema: Schema, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, dict) and schema.get("type") == "object":
        kept = {}
        for key, child in value.items():
            if (below := _below(schema, key)) is None:
                unknown.append(_child(path, key))
            else:
                kept[key] = _pruned(below, child, _child(path, key, schema), unknown)
        return kept
    if isinstance(value, list | tuple) and "items" in schema:
        return [_pruned(schema["items"], item, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    return value


def _below(schema: Schema, key: str) -> Schema | None:
    """The schema of an entry of an object; None where the API has no such field."""
    below: Schema | None = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    return below


def _child(path: str, key: str, schema: Schema | None = None) -> str:
    if schema is not None and "additionalProperties" in schema:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _wrong_type(wanted: str, value: object, path: str, hint: str = "") -> Problem:
    return Problem(path, f"must be {wanted}, not {_shown(value)}{hint}")


def _shown(value: object) -> str:
    """The value, short, for a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
        case int() if abs(value) < 2**63:
            return str(value)
        case int() | float():
            return f"{value:.12g}" if isinstance(value, float) else "a very large number"
        case str():
            return json.dumps(value[:60] + "…" if len(value) > 60 else value, ensure_ascii=False)
    return type(value).__name__
