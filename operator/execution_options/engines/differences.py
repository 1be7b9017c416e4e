"""Places at which an execution differs from its effective options, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from execution_options.api.names import PREFIX_ENV
from execution_options.engines.fields import ENV, key
from execution_options.engines.patch import parts, pointer
from execution_options.engines.paths import Path, filled, locate, lookup
from execution_options.engines.places import account_places, env_places, metadata_places, prevailing_places
from execution_options.options.levels import Level
from execution_options.options.rows import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced
    from execution_options.options.merge import Effective


class Difference(NamedTuple):
    """A place (JSON Pointer), its value (``None``: absent), and why."""

    at: str
    value: str | None
    why: str


AUTHORS = "its author wrote that there"
OPTIONS = "from options: its author wrote nothing there"
FROZEN = "as it was frozen: edits reach the execution's own metadata, and pods"
UNREPAIRED = "it was created past the webhook: only its own metadata could be repaired"
CHANGED = "somebody else changed it since"
GONE = "somebody took it away since, or its kind has no such field: the API server drops what a schema does not name"


def differences(
    engine: Engine,
    execution: dict[str, Any],
    authored: Mapping[str, str],
    frozen: Effective,
    now: Effective,
    shown: Effective,
    *,
    missed: bool = False,
) -> Iterator[Difference]:
    """Yield every place at which a label, an annotation, the account or a variable differs from ``shown``.

    Args:
        engine: of the execution.
        execution: as it is.
        authored: what its author wrote where options have a value, too (``Snapshot.authored``).
        frozen: options when it was created.
        now: current options.
        shown: current options with the author's layer: one value for all places.
        missed: whether it was created past the webhook.
    """
    for at, wanted, before, after in _wanted(engine, execution, (frozen, now, shown)):
        value = lookup(execution, at)
        if value == wanted or (wanted == "" and value in (None, "default")):
            continue
        inside = at[0] != "metadata"
        yield Difference(pointer(at), value, _why(authored.get(pointer(at)), value, before, after, missed, inside))
    yield from _prevailing(engine, execution, authored, shown)
    for place, there in _variables(engine, execution):
        for name, wanted_value in shown.envs.items():
            value = there.get(name)
            if value != wanted_value.value:
                at = (*place, name)
                first = frozen.envs[name].value if name in frozen.envs else None
                written = authored.get(pointer(at), authored.get(key(ENV, at)))
                yield Difference(pointer(at), value, _why(written, value, first, first, missed, True))


def _prevailing(
    engine: Engine, execution: dict[str, Any], authored: Mapping[str, str], shown: Effective
) -> Iterator[Difference]:
    """Yield differences at places that win in the engine. Only the first of them is recorded as its author's."""
    remembered = {tuple(parts(at)[-2:]) for at in authored}
    for place in prevailing_places(engine, execution):
        for kind in ("labels", "annotations"):
            wanted = getattr(shown, kind)
            for name, value in (lookup(execution, (*place, kind)) or {}).items():
                if name in wanted and value != wanted[name].value:
                    why = AUTHORS if (kind, name) in remembered else CHANGED
                    yield Difference(pointer((*place, kind, name)), value, why)


def _variables(engine: Engine, execution: dict[str, Any]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield the lists and maps of environment variables of an execution, with the variables in each."""
    for place in env_places(engine, execution):
        listed = lookup(execution, place) or ()
        yield place, {str(entry.get("name")): entry.get("value", "") for entry in listed}
    for text in engine.env_maps:
        for place in locate(execution, text):
            yield place, lookup(execution, place) or {}


def absent(engine: Engine, execution: dict[str, Any], shown: Effective) -> dict[str, tuple[str, ...]]:
    """Find values of options that an execution has nowhere.

    Args:
        engine: of the execution.
        execution: as it is.
        shown: effective options.

    Returns:
        Field (``options.rows``) → paths of the engine at which it would be; none if the engine has no place for it.
    """
    found: dict[str, tuple[str, ...]] = {}
    for kind in ("labels", "annotations"):
        there = {
            name for place in metadata_places(engine, execution) for name in lookup(execution, (*place, kind)) or ()
        }
        found |= {f"{kind}[{name}]": ("metadata",) for name in getattr(shown, kind) if name not in there}
    if _account(shown) and all(filled(execution, at) is None for at in account_places(engine, execution)):
        found["securityContext.runAs.k8sServiceAccount"] = (*engine.pod_templates, *engine.service_account_names)
    variables = {name for _, there in _variables(engine, execution) for name in there}
    lists = (*engine.pod_templates, *engine.envs, *engine.env_maps)
    found |= {f"envs[{name}]": lists for name in shown.envs if name not in variables}
    locations = (*engine.output_locations, *engine.artifact_repository_refs)
    located = PREFIX_ENV in variables or any(
        filled(execution, at) is not None for text in locations for at in locate(execution, text)
    )
    if shown.output_location_prefix is not None and not located:
        found["rawOutputDataConfig.outputLocationPrefix"] = (*lists, *locations)
    return found


def absent_notes(
    engine: Engine, execution: dict[str, Any], effective: Effective, least: Level = Level.CLUSTER_DEFAULT
) -> list[str]:
    """Return a sentence for each value that the engine has a place for, but the execution does not.

    Args:
        engine: of the execution.
        execution: as it is.
        effective: its options.
        least: lowest level of the values.
    """
    sources = {row.field: row.source for row in rows(effective)}
    return [
        f"{field}: is nowhere in this {engine.kind}, in spite of {sources[field]}: nothing is at {', '.join(paths)}"
        for field, paths in absent(engine, execution, effective).items()
        if paths and sources[field].level >= least
    ]


def _why(
    written: str | None, value: str | None, before: str | None, after: str | None, missed: bool, inside: bool
) -> str:
    if written is not None and value in (written, ""):
        return AUTHORS
    if missed and inside:
        return UNREPAIRED
    if value is not None and inside and value == before:
        return OPTIONS if before == after else FROZEN
    if value is None:
        return GONE
    return OPTIONS if value == after else CHANGED


def _wanted(
    engine: Engine, execution: dict[str, Any], merged: tuple[Effective, Effective, Effective]
) -> Iterator[tuple[Path, str, str | None, str | None]]:
    """Yield each place with the shown value, the value at creation and the current one."""
    frozen, now, shown = merged
    for place in metadata_places(engine, execution):
        for kind in ("labels", "annotations"):
            before, after = _plain(getattr(frozen, kind)), _plain(getattr(now, kind))
            for name, value in _plain(getattr(shown, kind)).items():
                yield (*place, kind, name), value, before.get(name), after.get(name)
    account = _account(shown)
    if account is not None:
        for at in account_places(engine, execution):
            yield at, account, _account(frozen), _account(now)


def _plain(values: Mapping[str, Sourced[str]]) -> dict[str, str]:
    return {key: value.value for key, value in values.items()}


def _account(effective: Effective) -> str | None:
    account = UNSET if effective.run_as is None else effective.run_as.value.k8s_service_account
    return None if account is UNSET else account
