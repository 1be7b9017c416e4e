"""Edits that reach living executions: which layers hold now, and what each object's metadata becomes.

The snapshot stays as it was frozen; what replaces parts of it is kept beside it (:class:`Live`). What was
written to an object after its creation is recorded on it (:class:`Applied`), because neither an API server
nor an engine remembers it for us: that is how a value can be taken away again without touching anybody
else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import UNSET, Struct, field, structs

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.options.levels import Layer, Sourced, prevails

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.api.resources import OptionsObject
    from execution_options.options.snapshot import Snapshot

MAX_BYTES: Final = 16 * 1024

LIVE_FIELDS: Final = ("labels", "annotations", "notifications", "disable_notifications", "max_parallelism")
"""What an edit can change while an execution runs; everything else was decided when it was created."""


class LiveTooLargeError(ValueError):
    """The edited options of one execution do not fit into its annotations; the message says how large they are."""


class InvalidLiveError(ValueError):
    """An annotation's text is not what this operator writes there."""


class Edited(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An options object that says something else than when it was frozen."""

    kind: str
    name: str
    uid: str
    generation: int
    spec: ExecutionOptionsSpec


class Live(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The edited ones among the options of a snapshot."""

    layers: tuple[Edited, ...] = ()


class Written(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What one map of an object (its labels, or its annotations) was given after its creation.

    ``values`` are the values written, ``None`` for a key that was removed; ``replaced`` are values that
    stood there before, where options replaced one that was never theirs.
    """

    values: dict[str, str | None] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)


class Applied(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What one object was given after its creation."""

    labels: Written = Written()
    annotations: Written = Written()


class Left(Struct, frozen=True):
    """A value that somebody else changed and that therefore stays; ``None`` means absent."""

    key: str
    value: str | None
    wanted: str | None


class Settled(Struct, frozen=True):
    """What to do with one map: keys to set (``None``: remove), keys to leave, and the record of it."""

    changes: dict[str, str | None]
    left: tuple[Left, ...]
    written: Written


def edited(snapshot: Snapshot, live: Live, find: Callable[[str, str], OptionsObject | None]) -> Live:
    """What holds beside the snapshot, given the options as they are now.

    An object follows only while it is the one that was frozen (same uid), is newer than what is known of
    it and its ``updatePolicy`` does not say otherwise; of any other the last state that was applied stays.

    Args:
        snapshot: the execution's snapshot.
        live: what holds until now.
        find: the options object with a kind and a name, in reach of the execution, or ``None``.
    """
    known = {(entry.kind, entry.name, entry.uid): entry for entry in live.layers}
    entries: list[Edited] = []
    for layer in snapshot.layers:
        source = layer.source
        entry = known.get((source.kind, source.name, source.uid))
        options = find(source.kind, source.name) if source.uid else None
        newest = source.generation if entry is None else entry.generation
        if (
            options is not None
            and options.uid == source.uid
            and options.generation > newest
            and options.spec.update_policy != "NextExecution"
        ):
            entry = _edit(layer, options)
        if entry is not None:
            entries.append(entry)
    return Live(tuple(entries))


def _edit(layer: Layer, options: OptionsObject) -> Edited | None:
    """``None`` where the object says what it said when it was frozen, as far as an edit could change it."""
    now = {name: getattr(options.spec, name) for name in LIVE_FIELDS}
    if all(value == getattr(layer.spec, name) for name, value in now.items()):
        return None
    spec = ExecutionOptionsSpec(**{name: value for name, value in now.items() if value is not UNSET})
    return Edited(kind=options.kind, name=options.name, uid=options.uid, generation=options.generation, spec=spec)


def current_layers(snapshot: Snapshot, live: Live) -> tuple[Layer, ...]:
    """The layers that hold now, lowest first: the snapshot's, with what was edited since."""
    known = {(entry.kind, entry.name, entry.uid): entry for entry in live.layers}
    layers: list[Layer] = []
    for layer in snapshot.layers:
        source = layer.source
        entry = known.get((source.kind, source.name, source.uid))
        if entry is None:
            layers.append(layer)
            continue
        now = {name: getattr(entry.spec, name) for name in LIVE_FIELDS}
        layers.append(Layer(structs.replace(source, generation=entry.generation), structs.replace(layer.spec, **now)))
    return tuple(layers)


def stands(said: Mapping[str, Sourced[str]], authored: Mapping[str, str]) -> dict[str, str]:
    """What stands in a map where its author wrote ``authored`` and options say ``said``."""
    over = {key: value.value for key, value in said.items() if prevails(value, authored.get(key))}
    return {**authored, **over}


def settle(
    present: Mapping[str, str],
    said: Mapping[str, Sourced[str]],
    authored: Mapping[str, str],
    base: Mapping[str, str],
    written: Written,
) -> Settled:
    """Bring one map of an object to what options say now.

    A key is written only while its value is the one that was last known to stand there: any other was
    set by somebody else, and stays, unless options enforce another. What stood at a key of which options
    never said anything counts as the author's: a default leaves it, a higher level replaces it and gives
    it back in the end.

    Args:
        present: the map as it is.
        said: what the options say now.
        authored: what the author wrote at the keys of which options said something at creation.
        base: what stood after creation at every key of which options said something then.
        written: what was written since.
    """
    changes: dict[str, str | None] = {}
    left: list[Left] = []
    values: dict[str, str | None] = {}
    replaced: dict[str, str] = {}
    for key in sorted({*base, *written.values, *said}):
        now = present.get(key)
        prior = written.values[key] if key in written.values else base.get(key)
        authors = authored.get(key, written.replaced.get(key))
        if key not in base and key not in written.values and now is not None:
            authors = prior = now
        value = said.get(key)
        target = value.value if value is not None and prevails(value, authors) else authors
        enforced = value is not None and value.source.level.is_enforced
        if now not in (target, prior) and not enforced:
            if target != prior:
                left.append(Left(key, now, target))
            if key in written.values:
                values[key] = written.values[key]
            if key in written.replaced:
                replaced[key] = written.replaced[key]
            continue
        if now != target:
            changes[key] = target
        if target == base.get(key) or (key not in base and target == authors):
            continue
        values[key] = target
        if authors is not None and key not in authored:
            replaced[key] = authors
    return Settled(changes, tuple(left), Written(values, replaced))


def encode_live(live: Live) -> str | None:
    """The text of the annotation ``execution.dev/live``; ``None`` where there is nothing to say.

    Raises:
        LiveTooLargeError: it is larger than 16 KiB.
    """
    if not live.layers:
        return None
    data = msgspec.json.encode(live)
    if len(data) > MAX_BYTES:
        raise LiveTooLargeError(
            f"the edited options of this execution take {len(data)} bytes together, at most {MAX_BYTES} fit"
        )
    return data.decode()


def encode_applied(applied: Applied) -> str | None:
    """The text of the annotation ``execution.dev/applied``; ``None`` where nothing was written."""
    return None if applied == Applied() else msgspec.json.encode(applied).decode()


def decode_live(text: str | None) -> Live:
    """The inverse of :func:`encode_live`.

    Raises:
        InvalidLiveError: the text is something else.
    """
    return Live() if text is None else _decoded(text, Live)


def decode_applied(text: str | None) -> Applied:
    """The inverse of :func:`encode_applied`.

    Raises:
        InvalidLiveError: the text is something else.
    """
    return Applied() if text is None else _decoded(text, Applied)


T = TypeVar("T")


def _decoded(text: str, kind: type[T]) -> T:
    try:
        return decoding.read(text, kind)
    except UnreadableError as error:
        raise InvalidLiveError(str(error)) from error
