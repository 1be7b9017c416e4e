"""The current limit of an execution: from its frozen options, with later edits, without deleted options.

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


class DeclaredLimit(Struct, frozen=True):
    """The limit that an options object, or an annotation with options, declares for an execution.

    Attributes:
        kind: kind of the options.
        name: their name.
        uid: their uid; empty for an annotation.
        generation: their generation when the limit was recorded.
        value: the limit; 0 for no limit, ``None`` if they declare nothing.
    """

    kind: str
    name: str
    uid: str
    generation: int
    value: int | None


class Cap(Struct, frozen=True):
    """A cap above zero, and the options that it comes from."""

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


def recorded(snapshot: str | None, live: str | None) -> tuple[DeclaredLimit, ...]:
    """The declared limits in the annotations of an execution, highest level first.

    They are empty if the execution had no limit when it was created: a first limit that an edit gives is for later
    executions. They are empty for invalid annotations, too. Only the necessary fields are decoded, because thousands of
    bare pods can have a snapshot each.

    Args:
        snapshot: annotation with the snapshot of the options; ``None`` if it is absent.
        live: annotation with later edits; ``None`` if it is absent.
    """
    try:
        layers = decoding.read(snapshot or "{}", _Snapshot).layers
        edits = {(e.kind, e.name, e.uid): e for e in decoding.read(live or "{}", _Live).layers}
    except UnreadableError:
        return ()
    # The options of an annotation are no object: they have no uid, and no edit can give them a limit.
    named = [layer for layer in reversed(layers) if layer.source.uid or layer.spec.max_parallelism is not UNSET]
    frozen = (layer.spec.max_parallelism for layer in named)
    if not next((value for value in frozen if value is not UNSET), 0):
        return ()
    declared: list[DeclaredLimit] = []
    for layer in named:
        source = layer.source
        edit = edits.get((source.kind, source.name, source.uid))
        spec, generation = (layer.spec, source.generation) if edit is None else (edit.spec, edit.generation)
        value = spec.max_parallelism
        declared.append(
            DeclaredLimit(source.kind, source.name, source.uid, generation, None if value is UNSET else value)
        )
    return _shared(tuple(declared))


@lru_cache(maxsize=4096)
def _shared(declared: tuple[DeclaredLimit, ...]) -> tuple[DeclaredLimit, ...]:
    """One object for all pods with the same options."""
    return declared


def effective(
    declared: tuple[DeclaredLimit, ...],
    find: Callable[[str, str], OptionsObject | None],
    gone: Callable[[DeclaredLimit], bool],
) -> Cap | None:
    """The cap; ``None`` if there is none, or the declared limit is 0.

    Edits apply at once, as in :func:`execution_options.options.live.edited`. Deleted options no longer apply, so that
    no pod waits because of options that nobody can edit.

    Args:
        declared: the declared limits, as from :func:`recorded`.
        find: finds options of the execution's namespace or the cluster by kind and name.
        gone: whether an options object is known to be deleted.
    """
    for one in declared:
        if gone(one):
            continue
        value, options = one.value, find(one.kind, one.name) if one.uid else None
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
