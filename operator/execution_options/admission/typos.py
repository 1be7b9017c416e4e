"""Warnings about labels and annotations of this operator's domain that have no effect. Pure.

Without them a misspelled key, or a key in the wrong place, would be ignored silently.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from execution_options.api import names
from execution_options.api.syntax import suggestion
from execution_options.engines.ownmetadata import AUTHORS_ANNOTATIONS
from execution_options.engines.paths import lookup
from execution_options.options import inline
from execution_options.options.reference import InvalidReferenceError, parse, parse_flag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from execution_options.options.reference import Target

_PREFIX: Final = f"{names.GROUP}/"
_KINDS: Final = ("labels", "annotations")
_OF_EXECUTIONS: Final = (
    names.OPTIONS_ANNOTATION,
    names.INLINE_ANNOTATION,
    names.DISABLE_NOTIFICATIONS_ANNOTATION,
    names.GROUP_ANNOTATION,
)
_OF_NAMESPACES: Final[dict[str, tuple[str, ...]]] = {
    names.PODS_LABEL: ("enabled", "disabled"),
    names.FAILURE_POLICY_LABEL: ("Fail", "Ignore"),
}
"""Labels of namespaces and their values; the second one is the default."""
_LIMITS: Final = (names.ALLOWED_PREFIXES_ANNOTATION, names.ALLOWED_ACCOUNTS_ANNOTATION)
"""Annotations of namespaces."""

_OF_DELIVERIES: Final = (names.REDELIVER_LABEL, names.LINEAGE_LABEL, names.TEST_LABEL)
"""Labels of deliveries; people write the first."""


def _ours(metadata: Mapping[str, Any], kind: str) -> dict[str, str]:
    found = metadata.get(kind)
    return {k: v for k, v in found.items() if k.startswith(_PREFIX)} if isinstance(found, dict) else {}


def of_namespace(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Metadata of a namespace that has no effect. A misspelled limit would not limit anything."""
    for key, value in _ours(metadata, "labels").items():
        if key in _LIMITS:
            yield f"label {key} has no effect: write it as an annotation"
        elif key not in _OF_NAMESPACES:
            yield f"label {key} has no effect{suggestion(key, _OF_NAMESPACES)}"
        elif value not in _OF_NAMESPACES[key]:
            acts, holds = _OF_NAMESPACES[key]
            yield f"label {key}={value} has no effect: write {key}={acts}; as it is, {holds} holds"
    for key in _ours(metadata, "annotations"):
        if key in _OF_NAMESPACES:
            yield f"annotation {key} has no effect: write it as a label"
        elif key not in _LIMITS:
            yield f"annotation {key} has no effect on a namespace{suggestion(key, _LIMITS)}"


def of_our_kind(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Metadata of options, a channel or an engine that has no effect."""
    for kind in _KINDS:
        for key in _ours(metadata, kind):
            if kind == "labels" or key != names.TEST_ANNOTATION:
                meant = suggestion(key, [names.TEST_ANNOTATION])
                yield f"{kind.removesuffix('s')} {key} has no effect here{meant or ''}"


def of_delivery(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Metadata of a delivery that has no effect."""
    for key in _ours(metadata, "labels"):
        if key not in _OF_DELIVERIES:
            yield f"label {key} has no effect on a delivery{suggestion(key, [names.REDELIVER_LABEL])}"
    for key in _ours(metadata, "annotations"):
        yield f"annotation {key} has no effect: the label {names.REDELIVER_LABEL} asks for a redelivery"


def of_unserved_pod(metadata: Mapping[str, Any], namespace: str) -> Iterator[str]:
    """Metadata of a bare pod that refers to no options, in a namespace whose bare pods are no executions."""
    for kind in _KINDS:
        for key in _ours(metadata, kind):
            if kind == "annotations" and key in _OF_EXECUTIONS:
                yield (
                    f"annotation {key} has no effect: bare pods of namespace {namespace} are executions only where "
                    f"they have the annotation {names.OPTIONS_ANNOTATION} or {names.INLINE_ANNOTATION}, or the "
                    f"namespace the label {names.PODS_LABEL}=enabled"
                )
            else:
                yield _mistaken(kind, key)


def of_launch_plan(document: Mapping[str, Any]) -> Iterator[str]:
    """Metadata in a launch plan that has no effect: its own, that of the executions it starts, and of their pods."""
    what = str(document.get("kind") or "launch plan")
    for path, key, value in _everywhere(document, ()):
        kind, at = path[-1], ".".join(path)
        if kind == "labels" or key not in _OF_EXECUTIONS:
            yield f"{at}: {_mistaken(kind, key)}"
        elif _is_of_pods(document, path):
            yield f"{at}: {key} has no effect on pods: write it in the metadata of the {what}, or of what it starts"
        elif key == names.DISABLE_NOTIFICATIONS_ANNOTATION:
            if path == ("metadata", "annotations"):
                yield f"{at}: {key} has no effect on a {what}: write it in the metadata of what it starts"
            else:
                yield from _flaw(at, value)


def references(document: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Target], str]]:
    """References of a launch plan, and of the executions in it: the path, the options, and the problem of the text."""
    for path, key, value in _everywhere(document, ()):
        if key == names.OPTIONS_ANNOTATION and path[-1] == "annotations" and not _is_of_pods(document, path):
            try:
                found = parse(value)
            except InvalidReferenceError as error:
                yield ".".join(path), (), str(error)
            else:
                yield ".".join(path), () if found is None else found.targets, ""


def inline_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Problems of inline options of a launch plan, and of the executions in it, each with its path."""
    for path, key, value in _everywhere(document, ()):
        if key == names.INLINE_ANNOTATION and path[-1] == "annotations" and not _is_of_pods(document, path):
            try:
                inline.parse(value)
            except InvalidReferenceError as error:
                yield f"{'.'.join(path)}: {error}"


def missing(targets: Sequence[Target], known: Collection[tuple[str, str]]) -> Iterator[str]:
    """Warnings about references to options that do not exist.

    Args:
        targets: the references.
        known: kind and name of the options in reach.
    """
    for target in targets:
        if (target.kind, target.name) not in known:
            near = suggestion(target.name, [name for kind, name in known if kind == target.kind])
            yield f"{target.kind} {target.name!r} does not exist, so what is started is refused{near}"


def of_template(document: Mapping[str, Any], places: Sequence[tuple[str | int, ...]], kind: str) -> Iterator[str]:
    """Annotations for an execution that were written on its pods instead.

    Args:
        document: the execution.
        places: the ``metadata`` of its pods.
        kind: the execution's.
    """
    for place in places:
        there = lookup(document, (*place, "annotations")) or {}
        for key in (names.OPTIONS_ANNOTATION, names.INLINE_ANNOTATION, names.DISABLE_NOTIFICATIONS_ANNOTATION):
            if key in there:
                at = ".".join(str(part) for part in place)
                yield f"{at}.annotations: {key} has no effect on pods: write it in the metadata of the {kind}"


def _flaw(at: str, value: str) -> Iterator[str]:
    try:
        parse_flag(names.DISABLE_NOTIFICATIONS_ANNOTATION, value)
    except InvalidReferenceError as error:
        yield f"{at}: {error}"


def _mistaken(kind: str, key: str) -> str:
    if kind == "labels" and key in _OF_EXECUTIONS:
        return f"label {key} has no effect: write it as an annotation"
    if key in _OF_NAMESPACES:
        return f"{kind.removesuffix('s')} {key} has no effect: it is a label of namespaces"
    return f"{kind.removesuffix('s')} {key} has no effect{suggestion(key, _OF_EXECUTIONS)}"


def _everywhere(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Every label and annotation of our domain: the path to the map that has it, key and value."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from _everywhere(item, (*path, str(number)))
    if not isinstance(node, dict):
        return
    for name, below in node.items():
        if name == "managedFields":
            continue
        if name in _KINDS and isinstance(below, dict):
            yield from (((*path, name), key, str(value)) for key, value in _ours(node, name).items())
        else:
            yield from _everywhere(below, (*path, name))


def _is_of_pods(document: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether labels or annotations belong to a pod template."""
    *around, last = path[:-1]
    holder: Any = document
    for part in around:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    spec = holder.get("spec")
    return last == "podMetadata" or (isinstance(spec, dict) and "containers" in spec)


def of_removed(removed: Iterable[tuple[str, str]]) -> list[str]:
    """Warnings about removed metadata that looks like a misspelling rather than a forgery.

    Args:
        removed: ``labels`` or ``annotations``, and the key.
    """
    found: dict[str, None] = {}
    for kind, key in removed:
        if key in AUTHORS_ANNOTATIONS:
            found[f"label {key} has no effect and was removed: write it as an annotation"] = None
        elif close := get_close_matches(key, AUTHORS_ANNOTATIONS, n=1, cutoff=0.85):
            found[f"{kind.removesuffix('s')} {key} is unknown and was removed: write the annotation {close[0]}"] = None
    return list(found)
