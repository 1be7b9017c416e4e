"""What an execution takes from another object: the rest of its specification, and what its author wrote there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET

from execution_options.api.names import GROUP
from execution_options.engines.patch import parts
from execution_options.engines.paths import lookup, parse, read
from execution_options.engines.phases import holds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.engine import TemplatePatches
    from execution_options.api.related_kinds import SpecificationKind
    from execution_options.engines.patch import Patch
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine

AUTHOR: Final = f"{GROUP}/options"
"""Who our patches of pod templates are by."""


class Reference(NamedTuple):
    """An object that an execution refers to."""

    kind: SpecificationKind
    name: str


def reference(engine: Engine, execution: Mapping[str, Any]) -> Reference | None:
    """The object that ``execution`` takes the rest of its specification from, if it names one."""
    for kind in engine.specifications:
        name = read(execution, kind.name)
        if isinstance(name, str) and name and all(holds(term, execution) for term in kind.when):
            return Reference(kind, name)
    return None


def add_patches(patch: Patch, engine: Engine, specification: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add patches for the pod templates of ``specification`` to an execution, empty ones, where its engine has them.

    Returns:
        What the author wrote in ``specification``, at the places of the execution where it counts.
    """
    if specification is None:
        return {}
    where = engine.template_patches
    if where is UNSET:
        return {field: value for field, value in specification.items() if field != "metadata"}
    things = [thing for thing in read(specification, where.of) or () if isinstance(thing, dict) and "name" in thing]
    at = _place(where.list)
    index, ours = _find(patch.document, where)
    if not ours:
        items = [{"name": thing["name"], **_nested(_place(where.pod_template), {})} for thing in things]
        patch.extend(at, [{**_nested(_place(where.author), AUTHOR), **_nested(_place(where.items), items)}])
    inner = _nested(_place(where.items), things)
    return _nested(at, [*({} for _ in range(index)), inner])


def keep_patches(patch: Patch, engine: Engine, old: Mapping[str, Any]) -> None:
    """Put back the patches of ours that ``old`` has and an original manifest has not."""
    where = engine.template_patches
    if where is UNSET or _find(patch.document, where)[1]:
        return
    _, ours = _find(old, where)
    if ours:
        patch.extend(_place(where.list), [ours])


def said_elsewhere(authored: Mapping[str, str]) -> dict[str, Any]:
    """What an author wrote at :func:`execution_options.engines.translate.translate`, as an object again."""
    found: dict[str, Any] = {}
    for at, value in authored.items():
        *way, last = parts(at)
        inner: dict[str, Any] = found
        for part in way:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return found


def _find(document: Mapping[str, Any], where: TemplatePatches) -> tuple[int, dict[str, Any] | None]:
    """Place of our patch in the list, or that of the next one."""
    patches = lookup(document, _place(where.list)) or []
    for index, one in enumerate(patches):
        if read(one, where.author) == AUTHOR:
            return index, one
    return len(patches), None


def _place(text: str) -> Path:
    return tuple(step for step in parse(text) if isinstance(step, str))


def _nested(way: Path, value: Any) -> dict[str, Any]:
    for part in reversed(way):
        value = {part: value}
    return dict(value)
