"""Options that become single fields of the engine's own: parallelism, the cache, the storage location, variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from execution_options.engines.managedfields import is_owned
from execution_options.engines.patch import pointer
from execution_options.engines.paths import Path, filled, locate, lookup, read
from execution_options.engines.phases import holds
from execution_options.options.levels import prevails

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.api.engine import ParallelismField
    from execution_options.engines.patch import Patch
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced

PARALLELISM = "maxParallelism"
CACHE = "overwriteCache"
LOCATION = "rawOutputDataConfig"
ENV = "env"
"""Option of an author's value whose place does not show it (:func:`key`)."""


def key(option: str, at: Path) -> str:
    """Return the record key of an author's value whose place does not show which option it belongs to."""
    return f"{option}:{pointer(at)}"


def option_of(recorded: str) -> str:
    """Return the option of a record key (:func:`key`); empty for a JSON Pointer alone."""
    return "" if recorded.startswith("/") else recorded.partition(":")[0]


def place_of(recorded: str) -> str:
    """Return the JSON Pointer of a record key."""
    return recorded[recorded.index("/") :]


def lower_parallelism(
    patch: Patch, engine: Engine, wanted: Sourced[int] | None, elsewhere: Mapping[str, Any]
) -> dict[str, str]:
    """Lower the engine's own limits. None is ever raised, and 0 (no limit) changes none.

    If ``wanted`` is from below the author, and the author wrote a higher limit, all limits stay: they belong together.

    Args:
        patch: the execution.
        engine: its engine.
        wanted: the limit of options.
        elsewhere: what the author wrote in another object; it is used for a field that the execution does not have.

    Returns:
        The limits that the author wrote, except for those that stay because pods need each other (:func:`gang_size`).
    """
    if wanted is None:
        return {}
    limits = [
        _Limit(field, at, lookup(elsewhere if lookup(patch.document, at) is None else patch.document, at))
        for field in engine.parallelism
        if all(holds(term, patch.document) for term in field.when)
        for at in locate(patch.document, field.path)
    ]
    authors = [limit for limit in limits if limit.now is not None and _is_written(patch.document, limit.at)]
    stays = not wanted.source.level.overrules_author and any(limit.is_above(wanted.value) for limit in authors)
    above = [limit for limit in limits if wanted.value and limit.is_above(wanted.value)]
    gangs = [limit for limit in above if _is_gang(limit.field, patch.document, limit.now)]
    for limit in above if not stays else ():
        if limit not in gangs:
            patch.put(limit.at, wanted.value)
    return {key(PARALLELISM, limit.at): str(limit.now) for limit in authors if limit not in gangs}


def _is_written(document: Mapping[str, Any], at: Path) -> bool:
    """Whether the author wrote a limit, in the execution or elsewhere."""
    return lookup(document, at) is None or is_owned(document, at)


class _Limit:
    """One of an engine's limits on parallelism before any change."""

    def __init__(self, field: ParallelismField, at: Path, value: Any) -> None:
        self.field = field
        self.at = at
        is_number = isinstance(value, int) and not isinstance(value, bool)
        self.now = value if is_number and not (value == 0 and field.zero_is_unlimited) else None
        self._is_unlimited = field.absent_is_unlimited if value is None else is_number and self.now is None

    def is_above(self, cap: int) -> bool:
        """Whether more than ``cap`` pods may run."""
        return self._is_unlimited or (self.now is not None and self.now > cap)


def _is_gang(field: ParallelismField, document: Mapping[str, Any], limit: int | None) -> bool:
    return (
        limit is not None
        and field.gang_size is not UNSET
        and all(holds(term, document) for term in field.gang_when)
        and read(document, field.gang_size) == limit
    )


def gang_size(engine: Engine, document: Mapping[str, Any], wanted: int) -> int | None:
    """Return how many pods need each other if that keeps a limit above ``wanted``, else ``None``.

    Args:
        engine: of the execution.
        document: the execution.
        wanted: the limit of options.
    """
    if not wanted:
        return None
    for field in engine.parallelism:
        limit = read(document, field.path)
        if isinstance(limit, int) and limit > wanted and _is_gang(field, document, limit):
            return limit
    return None


def bypass_cache(patch: Patch, engine: Engine, wanted: Sourced[bool] | None) -> Iterator[tuple[str, str]]:
    """Make the execution overwrite cached results if ``wanted`` is true; yield what its author wrote there."""
    if wanted is None or not wanted.value:
        return
    for at in cache_places(engine, patch.document):
        field = next(field for field in engine.cache if at in set(locate(patch.document, field.path)))
        value: Any = True if field.value is UNSET else field.value
        now = filled(patch.document, at)
        if now not in (None, False, value):
            yield key(CACHE, at), str(now)
        patch.put(at, value)


def cache_places(engine: Engine, document: Mapping[str, Any]) -> list[Path]:
    """Return the places of fields that make an execution ignore its engine's cache."""
    places = (place for field in engine.cache for place in locate(document, field.path))
    return [place for place in places if isinstance(lookup(document, place[:-1]), dict)]


def put_location(patch: Patch, engine: Engine, wanted: Sourced[str] | None) -> Iterator[tuple[str, str]]:
    """Write the execution's own storage location; yield what its author wrote there."""
    if wanted is None:
        return
    for text in engine.output_locations:
        for at in locate(patch.document, text):
            now = filled(patch.document, at)
            if now is not None:
                yield key(LOCATION, at), str(now)
            if prevails(wanted, now):
                patch.put(at, wanted.value)


def put_variables(patch: Patch, engine: Engine, wanted: Mapping[str, Sourced[str]]) -> Iterator[tuple[str, str]]:
    """Write variables into maps; yield what the author wrote there."""
    for text in engine.env_maps:
        for place in list(locate(patch.document, text)):
            there = lookup(patch.document, place) or {}
            for name, value in wanted.items():
                now = there.get(name)
                if now is not None:
                    yield key(ENV, (*place, name)), str(now)
                if prevails(value, now):
                    patch.put((*place, name), value.value)
