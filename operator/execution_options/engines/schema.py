"""Checks the paths of an engine's description against the schema of its kind.

Schemas are the structural ones of CustomResourceDefinitions
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema):
the API server drops fields that they do not name, except below ``x-kubernetes-preserve-unknown-fields``. They may have
megabytes: only the nodes along a path are decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET, Raw, Struct, field

from execution_options.api import decoding
from execution_options.api.problem import Problem
from execution_options.api.syntax import closest
from execution_options.engines.paths import Every, Where, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from execution_options.api.term import Term
    from execution_options.engines.paths import Step
    from execution_options.engines.profile import Engine

LISTED: Final = 12
"""Fields that a message lists if none has a similar name."""
SHOWN: Final = 5
"""Problems that a message lists; of the others it gives the number."""

_OPEN: Final = "(open)"
"""Result for a path that leads to a node which accepts anything."""
_IMPLIED: Final = ("apiVersion", "kind", "metadata")
"""Fields that every object has, even if its schema does not name them."""


class _Version(Struct, frozen=True):
    name: str
    schema: dict[str, Raw] = {}


class _Names(Struct, frozen=True):
    kind: str


class _DefinitionSpec(Struct, frozen=True, rename="camel"):
    names: _Names
    versions: tuple[_Version, ...] = ()
    preserve_unknown_fields: bool = False


class _Definition(Struct, frozen=True):
    spec: _DefinitionSpec


class _Node(Struct, frozen=True, rename="camel"):
    """A node of a schema; the nodes below stay undecoded."""

    type: str = ""
    properties: dict[str, Raw] = {}
    items: Raw = Raw(b"")
    additional_properties: Raw = Raw(b"")
    preserve: bool = field(name="x-kubernetes-preserve-unknown-fields", default=False)
    embedded: bool = field(name="x-kubernetes-embedded-resource", default=False)


class _Wanted(NamedTuple):
    """A path to check.

    Attributes:
        where: field of the description.
        written: value of that field.
        path: the path to follow, which may lead below the written one.
        type: type that the schema must have there; empty: any.
    """

    where: str
    written: str
    path: str
    type: str = ""


class PathCheck(Struct, frozen=True):
    """Result of :func:`check_paths`.

    Attributes:
        problems: one for each path that the schema does not have, at the field of the ``ExecutionEngine`` with it.
        unchecked: fields with paths to nodes that accept anything.
    """

    problems: tuple[Problem, ...] = ()
    unchecked: tuple[str, ...] = ()


def check_paths(engine: Engine, definition: bytes) -> PathCheck | None:
    """Check every path of an engine.

    Args:
        engine: the engine.
        definition: the CustomResourceDefinition of its kind, as JSON.

    Returns:
        ``None`` if the definition has no schema for the engine's version.
    """
    spec = decoding.read(definition, _Definition).spec
    schema = next((v.schema.get("openAPIV3Schema") for v in spec.versions if v.name == engine.version), None)
    if schema is None:
        return None
    root = _Node(preserve=True) if spec.preserve_unknown_fields else decoding.read(schema, _Node)
    problems: dict[str, Problem] = {}
    unchecked: dict[str, None] = {}
    for wanted in _wanted(engine):
        problem = _follow(root, parse(wanted.path), "", wanted.type)
        if problem == _OPEN:
            unchecked[wanted.where] = None
        elif problem:
            # A mistake in the path of a pod template is one problem, although several paths lead below it.
            problems.setdefault(wanted.where, Problem(wanted.where, problem, wanted.written))
    return PathCheck(tuple(problems.values()), tuple(unchecked))


def worded(problems: Iterable[Problem]) -> str:
    """Return problems as one sentence with at most :data:`SHOWN` of them."""
    sentences = [str(problem) for problem in problems]
    more = f"; and {len(sentences) - SHOWN} more" if len(sentences) > SHOWN else ""
    return "; ".join(sentences[:SHOWN]) + more


def _follow(node: _Node, steps: tuple[Step, ...], at: str, wanted: str) -> str:
    """Follow a path through a schema.

    Args:
        node: where to begin.
        steps: the rest of the path.
        at: path of ``node``, for messages.
        wanted: type that the schema must have at the end; empty: any.

    Returns:
        What is wrong; empty if nothing is, :data:`_OPEN` if the schema accepts anything on the way.
    """
    if not steps:
        differs = wanted and node.type and node.type != wanted
        return f"{_named(at)} is {_article(node.type)}, not {_article(wanted)}" if differs else ""
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        return _into(node, step, rest, at, wanted)
    items = list(_items(node))
    if not items:
        return _OPEN if _is_open(node) else f"{_named(at)} is {_article(node.type)}: there is nothing for [*] below it"
    found = [_in_item(decoding.read(item, _Node), step, rest, f"{at}[*]", wanted) for item in items]
    return next((good for good in ("", _OPEN) if good in found), found[0])


def _in_item(node: _Node, step: Every | Where, rest: tuple[Step, ...], at: str, wanted: str) -> str:
    problem = _into(node, step.field, (), at, "") if isinstance(step, Where) else ""
    return problem or _follow(node, rest, at, wanted)


def _into(node: _Node, name: str, rest: tuple[Step, ...], at: str, wanted: str) -> str:
    if (node.embedded or not at) and name in _IMPLIED:
        return ""
    if name in node.properties:
        return _follow(decoding.read(node.properties[name], _Node), rest, f"{at}.{name}" if at else name, wanted)
    if _is_schema(node.additional_properties):
        return _follow(decoding.read(node.additional_properties, _Node), rest, f'{at}["{name}"]', wanted)
    if _is_open(node):
        return _OPEN
    if node.type == "array":
        return f"{_named(at)} is a list: write {at}[*].{name} for the field of every item"
    if node.type not in ("", "object"):
        return f"{_named(at)} is {_article(node.type)}, which has no field {name!r}"
    return f"the schema has no {name!r} in {_named(at)}{_instead(name, node.properties)}"


def _items(node: _Node) -> Iterator[Raw]:
    """Yield the schemas of all that ``[*]`` matches: items of a list, values of a map or of an object."""
    for below in (node.items, node.additional_properties):
        if _is_schema(below):
            yield below
    yield from node.properties.values()


def _is_schema(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _is_open(node: _Node) -> bool:
    """Whether the node accepts any field."""
    return node.preserve or bytes(node.additional_properties) == b"true"


def _instead(name: str, properties: Mapping[str, Any]) -> str:
    if close := closest(name, properties):
        return f": did you mean {close!r}?"
    if not properties:
        return ", nor any other field there: the API server drops what is written there"
    listed = sorted(properties)
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return f": it has {', '.join(listed[:LISTED])}{more}"


def _named(at: str) -> str:
    return at or "the object"


def _article(kind: str) -> str:
    words = {"array": "a list", "object": "an object", "integer": "an integer"}
    return words.get(kind, f"a {kind}" if kind else "of no type")


def _wanted(engine: Engine) -> Iterator[_Wanted]:
    """Yield every path into executions in the description of an engine."""
    for number, template in enumerate(engine.pod_templates):
        for below, kind in _TEMPLATE:
            yield _Wanted(f"spec.podTemplates[{number}]", template, f"{template}.{below}" if template else below, kind)
    for number, metadata in enumerate(engine.pod_metadata):
        for below in ("labels", "annotations"):
            yield _Wanted(f"spec.podMetadata[{number}]", metadata, f"{metadata}.{below}", "object")
    plain = {
        "prevailingMetadata": (engine.prevailing_metadata, "object"),
        "serviceAccountNames": (engine.service_account_names, "string"),
        "serviceAccountFallbacks": (engine.service_account_fallbacks, "string"),
        "envs": (engine.envs, "array"),
        "envMaps": (engine.env_maps, "object"),
        "outputLocations": (engine.output_locations, "string"),
        "artifactRepositoryRefs": (engine.artifact_repository_refs, "object"),
        "timeouts": (engine.timeouts, ""),
        "status.message": (engine.status.message, ""),
        "status.finishedAt": (engine.status.finished_at, ""),
        "status.outcomes": (engine.status.outcomes, "string"),
    }
    for name, (listed, kind) in plain.items():
        yield from (_Wanted(f"spec.{name}[{number}]", path, path, kind) for number, path in enumerate(listed))
    for number, others in enumerate(engine.authored_fields):
        where = f"spec.authoredFields[{number}]"
        yield _Wanted(f"{where}.of", others.of, others.of)
        yield from (_Wanted(f"{where}.fields[{index}]", path, path) for index, path in enumerate(others.fields))
        if others.properties is not UNSET:
            yield _Wanted(f"{where}.properties.map", others.properties.map, others.properties.map, "object")
    yield from _of_terms("spec.foundByLabels", engine.found_by_labels)
    for number, limit in enumerate(engine.parallelism):
        where = f"spec.parallelism[{number}]"
        yield _Wanted(f"{where}.path", limit.path, limit.path, "integer")
        if limit.gang_size is not UNSET:
            yield _Wanted(f"{where}.gangSize", limit.gang_size, limit.gang_size)
        yield from _of_terms(f"{where}.when", limit.when)
        yield from _of_terms(f"{where}.gangWhen", limit.gang_when)
    for number, cache in enumerate(engine.cache):
        yield _Wanted(f"spec.cache[{number}].path", cache.path, cache.path)
    for number, kind_of in enumerate(engine.specifications):
        yield _Wanted(f"spec.specifications[{number}].name", kind_of.name, kind_of.name, "string")
        yield from _of_terms(f"spec.specifications[{number}].when", kind_of.when)
    patches = engine.template_patches
    if patches is not UNSET:
        where, items = "spec.templatePatches", f"{patches.list}[*].{patches.items}"
        yield _Wanted(f"{where}.list", patches.list, patches.list, "array")
        yield _Wanted(f"{where}.author", patches.author, f"{patches.list}[*].{patches.author}")
        yield _Wanted(f"{where}.items", patches.items, items, "array")
        yield _Wanted(f"{where}.podTemplate", patches.pod_template, f"{items}[*].{patches.pod_template}", "object")
    for number, rule in enumerate(engine.status.phases):
        yield from _of_terms(f"spec.status.phases[{number}].when", rule.when)
    for number, required in enumerate(engine.status.outcome_required):
        yield from _of_terms(f"spec.status.outcomeRequired[{number}].when", required.when)


_TEMPLATE: Final = (
    ("metadata.labels", "object"),
    ("metadata.annotations", "object"),
    ("spec.serviceAccountName", "string"),
    ("spec.containers[*].env", "array"),
)
"""Path in a pod template that options are written to, and its type."""


def _of_terms(where: str, terms: Iterable[Term]) -> Iterator[_Wanted]:
    yield from (_Wanted(f"{where}[{number}].path", term.path, term.path) for number, term in enumerate(terms))
