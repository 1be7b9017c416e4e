"""The checks of the API server in Python: types and bounds by the schema, then the rules.

They serve users who write options in Python, previews without a cluster, and the controller as a second line of
defence. Messages of rules are those that the API server gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from execution_options.api import names
from execution_options.api.base import Resource
from execution_options.api.model import ClusterExecutionOptionsSpec, ExecutionOptionsSpec
from execution_options.api.problem import InvalidOptionsError, Problem, shown
from execution_options.api.rule import by_name
from execution_options.api.schema import Schema, object_schema, spec_schema
from execution_options.api.shape import child_path, child_schema, shape_problems, without_nulls
from execution_options.api.size import SNAPSHOT_SIZE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from execution_options.api.rule import Rule

T = TypeVar("T", bound=Resource)

OPTIONS: Final[dict[str, type[ExecutionOptionsSpec]]] = {
    names.OPTIONS_KIND: ExecutionOptionsSpec,
    names.CLUSTER_OPTIONS_KIND: ClusterExecutionOptionsSpec,
}
"""Kind of options → model of its spec."""


def problems(
    spec: Mapping[str, Any] | Resource, kind: str, *, without: Collection[Rule] = (), path: str = "spec"
) -> list[Problem]:
    """Find everything that is wrong with a spec. Like the API server, check rules only if types and bounds are right.

    Args:
        spec: plain data or the typed spec.
        kind: a kind of ours.
        without: rules on the spec as a whole that are not checked.
        path: of the spec, for messages.

    Raises:
        KeyError: the kind is not one of ours.
    """
    value = msgspec.to_builtins(spec) if isinstance(spec, Resource) else spec
    return _problems(without_rules(spec_schema(kind), without), value, path)


def manifest_problems(manifest: Mapping[str, Any], kinds: Collection[str] = OPTIONS.keys()) -> list[Problem]:
    """Find everything that is wrong with a manifest: its version, its kind and its spec.

    Args:
        manifest: plain data.
        kinds: the kinds that it may have.
    """
    kind = manifest.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        return [Problem("kind", f"must be one of {', '.join(kinds)}, not {shown(kind)}")]
    if manifest.get("apiVersion") != names.API_VERSION:
        return [Problem("apiVersion", f"must be {names.API_VERSION}, not {shown(manifest.get('apiVersion'))}")]
    schema = object_schema(kind)
    # The API server checks metadata itself, and ignores the status in what a user applies.
    schema["properties"] |= {"metadata": {"type": "object", "additionalProperties": {}}, "status": {}}
    return _problems(schema, manifest, "")


def decoded(spec: Mapping[str, Any], kind: str, *, stored: bool = False) -> ExecutionOptionsSpec:
    """Check and convert the spec of options.

    Args:
        spec: plain data.
        kind: a key of :data:`OPTIONS`.
        stored: whether it comes from the API server. It may then be older than the rule on its size, which leaves a
            margin, so that rule is not checked.

    Raises:
        InvalidOptionsError: with every problem.
    """
    return typed(spec, kind, OPTIONS[kind], without=(SNAPSHOT_SIZE,) if stored else ())


def typed(
    spec: Mapping[str, Any], kind: str, model: type[T], *, without: Collection[Rule] = (), path: str = "spec"
) -> T:
    """Check a spec and convert it to its model.

    Args:
        spec: plain data.
        kind: a kind of ours.
        model: of the spec of that kind.
        without: rules on the spec as a whole that are not checked.
        path: of the spec, for messages.

    Raises:
        InvalidOptionsError: with every problem.
        KeyError: the kind is not one of ours.
    """
    found = problems(spec, kind, without=without, path=path)
    if found:
        raise InvalidOptionsError(found)
    try:
        return msgspec.convert(without_nulls(spec_schema(kind), spec), model)
    except msgspec.ValidationError as error:  # a value that only the model refuses
        raise InvalidOptionsError([Problem(path, str(error))]) from error


def without_rules(schema: Schema, without: Collection[Rule]) -> Schema:
    """Return the schema without these rules at its top."""
    if not without or "x-rules" not in schema:
        return schema
    names_without = {rule.name for rule in without}
    return schema | {"x-rules": [name for name in schema["x-rules"] if name not in names_without]}


def _problems(schema: Schema, value: object, path: str) -> list[Problem]:
    value = without_nulls(schema, value)
    return list(shape_problems(schema, value, path)) or list(_rules(schema, value, path))


def _rules(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    """Yield each broken rule of a value whose types and bounds are right."""
    for name in schema.get("x-rules", ()):
        rule = by_name(name)
        if message := rule.broken(value):
            scalar = value if isinstance(value, str | int) else None
            yield Problem(child_path(path, rule.field) if rule.field else path, message, scalar)
    if isinstance(value, dict):
        for key, child in value.items():
            if (below := child_schema(schema, key)) is not None:
                yield from _rules(below, child, child_path(path, key, schema))
    elif isinstance(value, list | tuple) and "items" in schema:
        for index, item in enumerate(value):
            yield from _rules(schema["items"], item, f"{path}[{index}]")
