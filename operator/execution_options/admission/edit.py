"""What an edit of options changes on living executions and their pods."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET, Struct

from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.names import (
    APPLIED_ANNOTATION,
    ID_LABEL,
    LIVE_ANNOTATION,
    MISSED_ANNOTATION,
    SNAPSHOT_ANNOTATION,
)
from execution_options.engines.metadatapatch import Changes, metadata_patch
from execution_options.engines.patch import Operation, parts
from execution_options.options import snapshot as snapshots
from execution_options.options.live import (
    Applied,
    Left,
    Live,
    LiveTooLargeError,
    current_layers,
    decode_applied,
    decode_live,
    edited,
    encode_applied,
    encode_live,
    reconciled,
    resolved,
)
from execution_options.options.merge import Effective, merge
from execution_options.options.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced

KINDS: Final = ("labels", "annotations")


class Options(NamedTuple):
    """Merged options: as they were frozen, and with what was edited since."""

    frozen: Effective
    now: Effective


class State(Struct, frozen=True):
    """An execution's options: as they were frozen, what was edited since, and both merged."""

    snapshot: Snapshot
    live: Live
    frozen: Effective
    now: Effective
    enforced: Options
    """Only what is enforced."""


class Plan(Struct, frozen=True):
    """A JSON Patch, and the values that it would change but that somebody else changed before.

    Attributes:
        operations: the patch.
        left: values that it leaves, although options say something else.
        restored: enforced values that somebody had replaced or removed; the patch writes them again.
    """

    operations: list[Operation]
    left: tuple[Left, ...] = ()
    restored: tuple[Left, ...] = ()


def state(metadata: ObjectMeta) -> State:
    """The options of an execution.

    Raises:
        execution_options.options.snapshot.InvalidSnapshotError: its snapshot cannot be read.
        execution_options.options.live.InvalidLiveError: what was edited since cannot be read.
    """
    annotations = metadata.annotations or {}
    return _state(annotations.get(SNAPSHOT_ANNOTATION, ""), annotations.get(LIVE_ANNOTATION))


@lru_cache(maxsize=64)
def _state(snapshot_text: str, live_text: str | None) -> State:
    """Cached, because the many pods of one execution have one state."""
    snapshot = snapshots.decode(snapshot_text)
    live = decode_live(live_text)
    layers = snapshot.layers, current_layers(snapshot, live)
    frozen, now = map(merge, layers)
    enforced = Options(*(merge(one for one in some if one.source.level.is_enforced) for some in layers))
    return State(snapshot, live, frozen, now, enforced)


def execution_plan(metadata: ObjectMeta, find: Callable[[str, str], OptionsObject | None]) -> Plan:
    """Bring an execution's own metadata to its options as they are now.

    Args:
        metadata: of the execution, with a snapshot.
        find: options by kind and name, in reach of the execution.

    Raises:
        execution_options.options.snapshot.InvalidSnapshotError: its snapshot cannot be read.
        execution_options.options.live.InvalidLiveError: a record of ours cannot be read.
        execution_options.options.live.LiveTooLargeError: what was edited, or the annotations with it, do not fit.
    """
    if metadata.deletion_timestamp is not None:
        return Plan([])
    before = state(metadata)
    live = edited(before.snapshot, before.live, find)
    now = before.now if live == before.live else merge(current_layers(before.snapshot, live))
    authored = before.snapshot.authored
    base = {kind: resolved(getattr(before.frozen, kind), _authored(authored, ("metadata", kind))) for kind in KINDS}
    plan, changes = _settled(metadata, now, authored, ("metadata",), base)
    changes["annotations"][LIVE_ANNOTATION] = encode_live(live)
    _check_size(metadata, changes)
    return Plan(metadata_patch(metadata, changes), plan)


def pod_plan(engine: Engine, execution: ObjectMeta, pod: ObjectMeta) -> Plan:
    """Bring a pod to what its execution's options are now; it was created from the frozen template.

    If the template is not the execution's only one, the pod may have been created from what others say, too: then it
    follows what is enforced, and nothing else.

    Raises:
        execution_options.options.snapshot.InvalidSnapshotError: the execution's snapshot cannot be read.
        execution_options.options.live.InvalidLiveError: a record of ours cannot be read.
        execution_options.options.live.LiveTooLargeError: the annotations do not fit.
    """
    if engine.is_pod or pod.deletion_timestamp is not None:
        return Plan([])
    current = state(execution)
    missed = MISSED_ANNOTATION in (execution.annotations or {})
    place = template_place(engine)
    if place is None:
        options, authored, place = current.enforced, {}, ()
    else:
        options, authored = Options(current.frozen, current.now), current.snapshot.authored
    base = {
        kind: _authored(authored, (*place, kind))
        # A template that never passed admission has only what its author wrote.
        | ({} if missed else resolved(getattr(options.frozen, kind), _authored(authored, (*place, kind))))
        for kind in KINDS
    }
    left, changes = _settled(pod, options.now, authored, place, base)
    if missed:
        changes["labels"][ID_LABEL] = current.snapshot.id
    _check_size(pod, changes)
    return Plan(metadata_patch(pod, changes), left, _restored(pod, changes, options.now, base))


def _restored(
    pod: ObjectMeta, changes: Changes, now: Effective, base: Mapping[str, Mapping[str, str]]
) -> tuple[Left, ...]:
    """What of the changes replaces neither what options gave the pod nor what an edit of them wrote to it."""
    applied = decode_applied((pod.annotations or {}).get(APPLIED_ANNOTATION))
    found = []
    for kind in KINDS:
        said: Mapping[str, Sourced[str]] = getattr(now, kind)
        there, written = getattr(pod, kind) or {}, getattr(applied, kind).values
        for key, target in changes[kind].items():
            expected = written[key] if key in written else base[kind].get(key)
            if key in said and said[key].source.level.is_enforced and there.get(key) != expected:
                found.append(Left(key, there.get(key), target))
    return tuple(found)


def enforced_account(execution: ObjectMeta) -> str | None:
    """The service account that pods of an execution must have; ``None`` if none is enforced.

    Raises:
        execution_options.options.snapshot.InvalidSnapshotError: the execution's snapshot cannot be read.
        execution_options.options.live.InvalidLiveError: a record of ours cannot be read.
    """
    run_as = state(execution).enforced.frozen.run_as
    if (
        run_as is None
        or run_as.value.k8s_service_account is UNSET
        or MISSED_ANNOTATION in (execution.annotations or {})
    ):
        return None
    return run_as.value.k8s_service_account or "default"


def _check_size(metadata: ObjectMeta, changes: Changes) -> None:
    before = metadata.annotations or {}
    after = {**before, **changes["annotations"]}
    size = annotations_size(after)
    if size > MAX_ANNOTATIONS and size > annotations_size(before):
        raise LiveTooLargeError(
            f"with what options say now its annotations would have {size} bytes, "
            f"Kubernetes takes at most {MAX_ANNOTATIONS}"
        )


def template_place(engine: Engine) -> tuple[str, ...] | None:
    """Where the metadata of its pods stands inside an execution; ``None`` where that is not one place."""
    if engine.is_pod or len(engine.pod_templates) != 1 or "[" in engine.pod_templates[0]:
        return None
    return (*engine.pod_templates[0].split("."), "metadata")


def _settled(
    metadata: ObjectMeta,
    now: Effective,
    authored: Mapping[str, str],
    place: tuple[str, ...],
    base: Mapping[str, Mapping[str, str]],
) -> tuple[tuple[Left, ...], Changes]:
    applied = decode_applied((metadata.annotations or {}).get(APPLIED_ANNOTATION))
    settled = {
        kind: reconciled(
            getattr(metadata, kind) or {},
            getattr(now, kind),
            _authored(authored, (*place, kind)),
            base[kind],
            getattr(applied, kind),
        )
        for kind in KINDS
    }
    changes: Changes = {kind: dict(result.changes) for kind, result in settled.items()}
    record = Applied(**{kind: result.written for kind, result in settled.items()})
    changes["annotations"][APPLIED_ANNOTATION] = encode_applied(record)
    return tuple(left for result in settled.values() for left in result.left), changes


def _authored(authored: Mapping[str, str], at: tuple[str, ...]) -> dict[str, str]:
    """What the author wrote in the map at ``at``, where options had something to say too."""
    found: dict[str, str] = {}
    for where, value in authored.items():
        *above, key = parts(where)
        if tuple(above) == at:
            found[key] = value
    return found
