"""Objects from which executions take the rest of their specification; values there are the author's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET

from execution_options.api.names import GROUP
from execution_options.engines.patch import parts
from execution_options.engines.paths import filled, lookup, parse, read
from execution_options.engines.phases import holds
from execution_options.options.levels import prevails

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.engine import TemplatePatches
    from execution_options.api.related_kinds import SpecificationKind
    from execution_options.engines.patch import Patch
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced
    from execution_options.options.merge import Effective

AUTHOR: Final = f"{GROUP}/options"
"""Author that we record on our patches of pod templates."""


class Reference(NamedTuple):
    """An object that an execution refers to."""

    kind: SpecificationKind
    name: str


def reference(engine: Engine, execution: Mapping[str, Any]) -> Reference | None:
    """Return the object that an execution takes the rest of its specification from; ``None`` if it names none."""
    for kind in engine.specifications:
        name = read(execution, kind.name)
        if isinstance(name, str) and name and all(holds(term, execution) for term in kind.when):
            return Reference(kind, name)
    return None


def add_patches(patch: Patch, engine: Engine, specification: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add empty patches for the pod templates of a specification to an execution, if its engine has such patches.

    They come last, because a later patch wins.

    Args:
        patch: the execution.
        engine: its engine.
        specification: the object; ``None`` if it does not exist.

    Returns:
        What the author wrote in the specification, and in patches under other names, at the places of the execution
        that it is used for.
    """
    if specification is None:
        return {}
    where = engine.template_patches
    if where is UNSET:
        return {field: value for field, value in specification.items() if field != "metadata"}
    things = [thing for thing in read(specification, where.of) or () if isinstance(thing, dict) and "name" in thing]
    others = _others(patch.document, where)
    items = [{"name": thing["name"], **_nested(_place(where.pod_template), {})} for thing in things]
    ours = {**_nested(_place(where.author), AUTHOR), **_nested(_place(where.items), items)}
    patch.extend(_place(where.list), [ours])
    return _elsewhere(where, others, things)


def drop_patches(patch: Patch, engine: Engine) -> None:
    """Remove patches under our name from a new execution: its author wrote them, or copied another execution."""
    _put_patches(patch, engine, None)


def keep_patches(patch: Patch, engine: Engine, old: Mapping[str, Any]) -> None:
    """Restore our patches, last, and remove those of others under our name.

    Args:
        patch: the new object.
        engine: its engine.
        old: the stored object.
    """
    where = engine.template_patches
    if where is not UNSET:
        _put_patches(patch, engine, _ours(old, where))


def _put_patches(patch: Patch, engine: Engine, ours: dict[str, Any] | None) -> None:
    where = engine.template_patches
    if where is UNSET:
        return
    wanted = [*_others(patch.document, where), *([] if ours is None else [ours])]
    if wanted != _listed(patch.document, where.list):
        patch.put(_place(where.list), wanted)


def yield_patches(patch: Patch, engine: Engine, effective: Effective, elsewhere: Mapping[str, Any]) -> None:
    """Remove defaults from our patches where the patch of another author has a value by now, because ours would win.

    Args:
        patch: the execution.
        engine: its engine.
        effective: options of the execution.
        elsewhere: as :func:`authored_elsewhere` returns it.
    """
    if engine.template_patches is UNSET:
        return
    for template in list(engine.templates(patch.document)):
        wanted: dict[Path, Sourced[Any]] = {
            ("metadata", kind, key): value
            for kind, values in (("labels", effective.labels), ("annotations", effective.annotations))
            for key, value in values.items()
        }
        if effective.run_as is not None:
            wanted["spec", "serviceAccountName"] = effective.run_as
        for inside, value in wanted.items():
            # An empty label is a value, but an empty account is not.
            there = (lookup if inside[0] == "metadata" else filled)(elsewhere, (*template, *inside))
            if not prevails(value, there):
                patch.remove((*template, *inside))


def authored_elsewhere(engine: Engine, execution: Mapping[str, Any], authored: Mapping[str, str]) -> dict[str, Any]:
    """Return what an author wrote elsewhere at the creation of an execution, and in patches under other names since.

    Args:
        engine: its engine.
        execution: as it will be stored.
        authored: as :func:`execution_options.engines.translate.translate` returns it.
    """
    found: dict[Any, Any] = {}
    for at, value in authored.items():
        *way, last = parts(at)
        inner = found
        for part in way:
            inner = inner.setdefault(int(part) if part.isdigit() else part, {})
        inner[last] = value
    where = engine.template_patches
    if where is UNSET or (ours := _ours(execution, where)) is None:
        return found
    # Others may have been added or removed since, so that ours has another index.
    stored: dict[int, Any] = lookup(found, _place(where.list)) or {}
    written: dict[int, Any] = next((lookup(one, _place(where.items)) or {} for one in stored.values()), {})
    items = enumerate(_listed(ours, where.items))
    things = [{**written.get(index, {}), "name": item.get("name")} for index, item in items]
    return _merged(found, _elsewhere(where, _others(execution, where), things))


def _elsewhere(where: TemplatePatches, others: list[Any], things: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the values below our patch, which is the last one: ``things`` with the patches of other authors."""
    for other in others:
        items = {item.get("name"): item for item in _listed(other, where.items) if isinstance(item, dict)}
        things = [_merged(thing, items.get(thing["name"], {})) for thing in things]
    return _nested(_place(where.list), [*({} for _ in others), _nested(_place(where.items), things)])


def _merged(below: Mapping[str, Any], above: Mapping[str, Any], *, free_form: bool = False) -> dict[str, Any]:
    """Merge two objects field by field; a field that is no object, lists included, is replaced unless it is empty.

    Args:
        below: the object that is patched.
        above: the patch.
        free_form: whether the objects are maps with free keys, in which an empty value is a value.
    """
    merged = dict(below)
    for name, value in above.items():
        there = merged.get(name)
        if isinstance(value, dict):
            inner = there if isinstance(there, dict) else {}
            merged[name] = _merged(inner, value, free_form=name in ("labels", "annotations"))
        elif free_form or filled(above, (name,)) is not None:
            merged[name] = value
    return merged


def _ours(document: Mapping[str, Any], where: TemplatePatches) -> dict[str, Any] | None:
    return next((one for one in _listed(document, where.list) if read(one, where.author) == AUTHOR), None)


def _others(document: Mapping[str, Any], where: TemplatePatches) -> list[Any]:
    return [one for one in _listed(document, where.list) if read(one, where.author) != AUTHOR]


def _listed(document: Any, text: str) -> list[Any]:
    """Return the list at a path; an empty one if there is none."""
    found = lookup(document, _place(text))
    return found if isinstance(found, list) else []


def _place(text: str) -> Path:
    return tuple(step for step in parse(text) if isinstance(step, str))


def _nested(way: Path, value: Any) -> dict[str, Any]:
    for part in reversed(way):
        value = {part: value}
    return dict(value)
