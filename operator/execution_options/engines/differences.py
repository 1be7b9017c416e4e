"""Where an execution is not, place by place, what its effective options say, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from execution_options.engines.patch import pointer
from execution_options.engines.paths import Path, lookup
from execution_options.engines.translate import account_places, env_places, metadata_places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced
    from execution_options.options.merge import Effective


class Difference(NamedTuple):
    """A place (JSON Pointer), what stands there (``None``: nothing), and why."""

    at: str
    value: str | None
    why: str


AUTHORS = "its author wrote that there"
OPTIONS = "from options: its author wrote nothing there"
FROZEN = "as it was frozen: edits reach the execution's own metadata, and pods"
UNREPAIRED = "it was created past the webhook: only its own metadata could be repaired"
CHANGED = "somebody else changed it since"


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
    """Every label, annotation, account and variable of ``shown`` that is something else in some place.

    Args:
        engine: of the execution.
        execution: as it is.
        authored: what its author wrote where options had something to say (``Snapshot.authored``).
        frozen: what options said when it was created.
        now: what they say now.
        shown: the same with the author's layer among them: one value for all places.
        missed: whether it was created past the webhook.
    """
    for at, wanted, before, after in _wanted(engine, execution, (frozen, now, shown)):
        value = lookup(execution, at)
        if value == wanted or (wanted == "" and value in (None, "default")):
            continue
        inside = at[0] != "metadata"
        yield Difference(pointer(at), value, _why(authored.get(pointer(at)), value, before, after, missed, inside))
    for place in env_places(engine, execution):
        there = {entry.get("name"): entry.get("value", "") for entry in lookup(execution, place) or ()}
        for name, wanted_value in shown.envs.items():
            value = there.get(name)
            if value != wanted_value.value:
                at = (*place, name)
                said = frozen.envs[name].value if name in frozen.envs else None
                yield Difference(pointer(at), value, _why(authored.get(pointer(at)), value, said, said, missed, True))


def _why(
    written: str | None, value: str | None, before: str | None, after: str | None, missed: bool, inside: bool
) -> str:
    if written is not None and value in (written, ""):
        return AUTHORS
    if missed and inside:
        return UNREPAIRED
    if value is not None and inside and value == before:
        return OPTIONS if before == after else FROZEN
    return OPTIONS if value is not None and value == after else CHANGED


def _wanted(
    engine: Engine, execution: dict[str, Any], merged: tuple[Effective, Effective, Effective]
) -> Iterator[tuple[Path, str, str | None, str | None]]:
    """Each place with what is shown of it, and what options said when it was frozen and say now."""
    frozen, now, shown = merged
    for place in metadata_places(engine, execution):
        for kind in ("labels", "annotations"):
            before, after = _plain(getattr(frozen, kind)), _plain(getattr(now, kind))
            for key, value in _plain(getattr(shown, kind)).items():
                yield (*place, kind, key), value, before.get(key), after.get(key)
    account = _account(shown)
    if account is not None:
        for at in account_places(engine, execution):
            yield at, account, _account(frozen), _account(now)


def _plain(values: Mapping[str, Sourced[str]]) -> dict[str, str]:
    return {key: value.value for key, value in values.items()}


def _account(effective: Effective) -> str | None:
    account = UNSET if effective.run_as is None else effective.run_as.value.k8s_service_account
    return None if account is UNSET else account
