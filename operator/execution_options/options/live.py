"""Edits that reach running executions: the current layers, and the changes of each object's metadata.

The snapshot stays frozen. Edits that replace parts of it are stored beside it (:class:`Live`). The values that were
written to an object after its creation are recorded on it (:class:`Applied`), because neither the API server nor an
engine remembers them. With that record, a value can be removed again without touching anybody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import UNSET, Struct, field, structs

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.options.levels import Layer, Sourced, prevails
from execution_options.options.snapshot import without_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.api.resources import OptionsObject
    from execution_options.options.snapshot import Snapshot

MAX_BYTES: Final = 16 * 1024

LIVE_FIELDS: Final = ("labels", "annotations", "notifications", "disable_notifications", "max_parallelism")
"""Fields that an edit can change while an execution runs. All others are fixed at its creation."""


class LiveTooLargeError(ValueError):
    """The edited options of one execution do not fit into its annotations. The message says how large they are."""


class InvalidLiveError(ValueError):
    """The text of an annotation was not written by this operator."""


class Edited(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An options object that was edited since it was frozen."""

    kind: str
    name: str
    uid: str
    generation: int
    spec: ExecutionOptionsSpec


class Live(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The options of a snapshot that were edited."""

    layers: tuple[Edited, ...] = ()


class Written(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What was written to one map of an object (its labels, or its annotations) after its creation.

    Attributes:
        values: the written values; ``None`` for a key that was removed.
        replaced: previous values of keys whose value did not come from options.
    """

    values: dict[str, str | None] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)


class Applied(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What was written to one object after its creation."""

    labels: Written = Written()
    annotations: Written = Written()


class Left(Struct, frozen=True):
    """A value that is left as it is, because somebody else changed it.

    Attributes:
        key: the key.
        value: its value; ``None`` if it is absent.
        wanted: the value that options want; ``None`` for absent.
    """

    key: str
    value: str | None
    wanted: str | None


class Reconciled(Struct, frozen=True):
    """The result of reconciling one map.

    Attributes:
        changes: keys to set; ``None`` for keys to remove.
        left: keys that are left as they are.
        written: the new record.
    """

    changes: dict[str, str | None]
    left: tuple[Left, ...]
    written: Written


def edited(snapshot: Snapshot, live: Live, find: Callable[[str, str], OptionsObject | None]) -> Live:
    """The edits to the snapshot, according to the current options.

    An edit is followed if the object is the frozen one (same uid), is newer than the last known generation, and has no
    ``updatePolicy`` against it. Otherwise the last applied edit stays.

    Args:
        snapshot: the execution's snapshot.
        live: the edits so far.
        find: finds options of the execution's namespace or the cluster by kind and name.
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
    """The edit of an object; ``None`` if it changes nothing that edits can change."""
    now = {name: getattr(options.spec, name) for name in LIVE_FIELDS}
    if all(value == getattr(layer.spec, name) for name, value in now.items()):
        return None
    spec = ExecutionOptionsSpec(**{name: value for name, value in now.items() if value is not UNSET})
    return Edited(kind=options.kind, name=options.name, uid=options.uid, generation=options.generation, spec=spec)


def current_layers(snapshot: Snapshot, live: Live) -> tuple[Layer, ...]:
    """The current layers, lowest first.

    Args:
        snapshot: the execution's snapshot.
        live: the edits since.
    """
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
    return without_labels(tuple(layers), snapshot.found_by) if snapshot.found_by else tuple(layers)


def resolved(desired: Mapping[str, Sourced[str]], authored: Mapping[str, str]) -> dict[str, str]:
    """The values of a map, from its author and from options.

    Args:
        desired: the values of options.
        authored: the author's values.
    """
    over = {key: value.value for key, value in desired.items() if prevails(value, authored.get(key))}
    return {**authored, **over}


def reconciled(
    present: Mapping[str, str],
    desired: Mapping[str, Sourced[str]],
    authored: Mapping[str, str],
    base: Mapping[str, str],
    written: Written,
) -> Reconciled:
    """Reconcile one map of an object with the current options.

    A key is written only if it has the last known value. Any other value was set by somebody else and stays, unless
    options enforce theirs. If options never had a value for a key, its present value is the author's: a default leaves
    it, a higher level replaces it and restores it later.

    Args:
        present: the present map.
        desired: the values that options want now.
        authored: the author's values of the keys that options had a value for at creation.
        base: the values of those keys after creation.
        written: the record of what was written since.
    """
    changes: dict[str, str | None] = {}
    left: list[Left] = []
    values: dict[str, str | None] = {}
    replaced: dict[str, str] = {}
    for key in sorted({*base, *written.values, *desired}):
        now = present.get(key)
        prior = written.values[key] if key in written.values else base.get(key)
        authors = authored.get(key, written.replaced.get(key))
        if key not in base and key not in written.values and now is not None:
            authors = prior = now
        value = desired.get(key)
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
    return Reconciled(changes, tuple(left), Written(values, replaced))


def encode_live(live: Live) -> str | None:
    """The text of the annotation ``execution.dev/live``; ``None`` if there are no edits.

    Raises:
        LiveTooLargeError: the text is larger than 16 KiB.
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
    """The text of the annotation ``execution.dev/applied``; ``None`` if nothing was written."""
    return None if applied == Applied() else msgspec.json.encode(applied).decode()


def decode_live(text: str | None) -> Live:
    """Decode the text of :func:`encode_live`.

    Raises:
        InvalidLiveError: the text is anything else.
    """
    return Live() if text is None else _decoded(text, Live)


def decode_applied(text: str | None) -> Applied:
    """Decode the text of :func:`encode_applied`.

    Raises:
        InvalidLiveError: the text is anything else.
    """
    return Applied() if text is None else _decoded(text, Applied)


T = TypeVar("T")


def _decoded(text: str, kind: type[T]) -> T:
    try:
        return decoding.read(text, kind)
    except UnreadableError as error:
        raise InvalidLiveError(str(error)) from error
