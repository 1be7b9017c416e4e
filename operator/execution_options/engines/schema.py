"""Whether the paths of an engine's description lead anywhere, by the schema of the kind's definition.

Schemas are the structural ones of CustomResourceDefinitions
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema):
what they do not name is dropped when an object is stored, unless ``x-kubernetes-preserve-unknown-fields`` says
otherwise. They may have megabytes: only the nodes on the way of a path are decoded.
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
"""Names of fields that are listed where none is close."""
SHOWN: Final = 5
"""Problems that are worded; the others are counted."""

_OPEN: Final = "(open)"
"""Said of a way that leads to where a schema accepts anything."""
_IMPLIED: Final = ("apiVersion", "kind", "metadata")
"""Fields of a whole object, whatever its schema names."""


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
    """A node of a schema; what is below stays undecoded."""

    type: str = ""
    properties: dict[str, Raw] = {}
    items: Raw = Raw(b"")
    additional_properties: Raw = Raw(b"")
    preserve: bool = field(name="x-kubernetes-preserve-unknown-fields", default=False)
    embedded: bool = field(name="x-kubernetes-embedded-resource", default=False)


class _Wanted(NamedTuple):
    """A place to follow, the field of the description that is about it, the path that stands there, and the type."""

    where: str
    written: str
    path: str
    type: str = ""


class PathCheck(Struct, frozen=True):
    """What a schema says of the paths of an engine.

    Attributes:
        problems: a problem for each path that leads nowhere, at the field of the ``ExecutionEngine`` that has it.
        unchecked: fields whose paths lead to where the schema leaves open what is there.
    """

    problems: tuple[Problem, ...] = ()
    unchecked: tuple[str, ...] = ()


def check_paths(engine: Engine, definition: bytes) -> PathCheck | None:
    """Follow every path of ``engine``.

    Args:
        engine: the engine.
        definition: the CustomResourceDefinition of its kind, as JSON.

    Returns:
        What was found; ``None`` where the definition has no schema for the engine's version.
    """
    spec = decoding.read(definition, _Definition).spec
    schema = next((v.schema.get("openAPIV3Schema") for v in spec.versions if v.name == engine.version), None)
    if schema is None:
        return None
    root = _Node(preserve=True) if spec.preserve_unknown_fields else decoding.read(schema, _Node)
    problems: dict[str, Problem] = {}
    unchecked: dict[str, None] = {}
    for wanted in _wanted(engine):
        said = _follow(root, parse(wanted.path), "", wanted.type)
        if said == _OPEN:
            unchecked[wanted.where] = None
        elif said:
            # One mistake in the path of a pod template is one problem, whatever is written below it.
            problems.setdefault(wanted.where, Problem(wanted.where, said, wanted.written))
    return PathCheck(tuple(problems.values()), tuple(unchecked))


def worded(problems: Iterable[Problem]) -> str:
    """Problems as one sentence, some of them where there are many."""
    said = [str(problem) for problem in problems]
    more = f"; and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return "; ".join(said[:SHOWN]) + more


def _follow(node: _Node, steps: tuple[Step, ...], at: str, wanted: str) -> str:
    """What is wrong with the way of ``steps`` from ``node`` on, which stands ``at``; empty where nothing is."""
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
    return next((said for said in ("", _OPEN) if said in found), found[0])


def _in_item(node: _Node, step: Every | Where, rest: tuple[Step, ...], at: str, wanted: str) -> str:
    said = _into(node, step.field, (), at, "") if isinstance(step, Where) else ""
    return said or _follow(node, rest, at, wanted)


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
    """What ``[*]`` stands for: the items of a list, or the values of a map or of an object with fixed fields."""
    for below in (node.items, node.additional_properties):
        if _is_schema(below):
            yield below
    yield from node.properties.values()


def _is_schema(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _is_open(node: _Node) -> bool:
    """Whether anything may be below."""
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
    """Every path into executions that the description of an engine has."""
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
"""What is written into a pod template."""


def _of_terms(where: str, terms: Iterable[Term]) -> Iterator[_Wanted]:
    yield from (_Wanted(f"{where}[{number}].path", term.path, term.path) for number, term in enumerate(terms))
