"""The limit of an execution now: what its frozen options say, with later edits, without options that are gone.

An execution has a limit from its creation, or never.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.options.levels import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.resources import OptionsObject


class Said(Struct, frozen=True):
    """What one options object says of parallelism, as far as that was recorded; ``value`` is ``None`` for nothing."""

    kind: str
    name: str
    uid: str
    generation: int
    value: int | None


class Cap(Struct, frozen=True):
    """A cap above zero and where it comes from."""

    value: int
    kind: str
    name: str
    uid: str


class _Spec(Struct, rename="camel"):
    max_parallelism: int | UnsetType = UNSET


class _Layer(Struct):
    source: Source
    spec: _Spec


class _Snapshot(Struct):
    layers: tuple[_Layer, ...] = ()


class _Edited(Struct):
    kind: str
    name: str
    uid: str
    generation: int
    spec: _Spec


class _Live(Struct):
    layers: tuple[_Edited, ...] = ()


def recorded(snapshot: str | None, live: str | None) -> tuple[Said, ...]:
    """What the annotations of an execution say of parallelism, highest level first.

    Empty where it had no limit when it was created: an edit that gives one first is for later executions. Empty for
    junk, too. Only the few bytes that matter are decoded: thousands of bare pods have a snapshot each.
    """
    try:
        layers = decoding.read(snapshot or "{}", _Snapshot).layers
        edits = {(e.kind, e.name, e.uid): e for e in decoding.read(live or "{}", _Live).layers}
    except UnreadableError:
        return ()
    # An annotation of the execution itself is a layer too, but no options object, and says nothing of parallelism.
    named = [layer for layer in reversed(layers) if layer.source.uid]
    frozen = (layer.spec.max_parallelism for layer in named)
    if not next((value for value in frozen if value is not UNSET), 0):
        return ()
    said: list[Said] = []
    for layer in named:
        source = layer.source
        edit = edits.get((source.kind, source.name, source.uid))
        spec, generation = (layer.spec, source.generation) if edit is None else (edit.spec, edit.generation)
        value = spec.max_parallelism
        said.append(Said(source.kind, source.name, source.uid, generation, None if value is UNSET else value))
    return _shared(tuple(said))


@lru_cache(maxsize=4096)
def _shared(said: tuple[Said, ...]) -> tuple[Said, ...]:
    """One object for all pods that have the same options."""
    return said


def effective(
    said: tuple[Said, ...],
    find: Callable[[str, str], OptionsObject | None],
    gone: Callable[[Said], bool],
) -> Cap | None:
    """The cap; ``None`` where there is none, or 0 was said.

    Edits count at once, as in :func:`execution_options.options.live.edited`; options that are gone count no more,
    so that nothing is held back by what nobody can edit.

    Args:
        said: as :func:`recorded`.
        find: options by kind and name, in reach of the execution.
        gone: whether an options object is known to be deleted.
    """
    for one in said:
        if gone(one):
            continue
        value, options = one.value, find(one.kind, one.name)
        if (
            options is not None
            and options.uid == one.uid
            and options.generation > one.generation
            and options.spec.update_policy != "NextExecution"
        ):
            now = options.spec.max_parallelism
            value = None if now is UNSET else now
        if value is not None:
            return Cap(value, one.kind, one.name, one.uid) if value > 0 else None
    return None
