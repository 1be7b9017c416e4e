"""Changes of active executions and their pods after an edit of their options."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET, Struct

from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.names import (
    APPLIED_ANNOTATION,
    CAPPED,
    GATE,
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
from execution_options.parallelism.gate import label_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced

KINDS: Final = ("labels", "annotations")


class Options(NamedTuple):
    """Merged options: as they were frozen, and as they are now."""

    frozen: Effective
    now: Effective


class State(Struct, frozen=True):
    """An execution's options: as they were frozen, later edits, and both merged."""

    snapshot: Snapshot
    live: Live
    frozen: Effective
    now: Effective
    enforced: Options
    """Only the enforced values."""


class Plan(Struct, frozen=True):
    """A JSON patch that brings an object to its options.

    Attributes:
        operations: the patch.
        left: values that differ from the options and stay, because others changed them.
        restored: enforced values that others replaced or removed. The patch writes them again.
    """

    operations: list[Operation]
    left: tuple[Left, ...] = ()
    restored: tuple[Left, ...] = ()


def state(metadata: ObjectMeta) -> State:
    """The options of an execution.

    Raises:
        execution_options.options.snapshot.InvalidSnapshotError: its snapshot cannot be read.
        execution_options.options.live.InvalidLiveError: the record of edits cannot be read.
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
        execution_options.options.live.LiveTooLargeError: the record of edits or all annotations are too large.
    """
    if metadata.deletion_timestamp is not None:
        return Plan([])
    before = state(metadata)
    live = edited(before.snapshot, before.live, find)
    now = before.now if live == before.live else merge(current_layers(before.snapshot, live))
    authored = before.snapshot.authored
    base = {kind: resolved(getattr(before.frozen, kind), _authored(authored, ("metadata", kind))) for kind in KINDS}
    plan, changes = _reconciled(metadata, now, authored, ("metadata",), base)
    changes["annotations"][LIVE_ANNOTATION] = encode_live(live)
    _check_size(metadata, changes)
    return Plan(metadata_patch(metadata, changes), plan)


def pod_plan(engine: Engine, execution: ObjectMeta, pod: ObjectMeta) -> Plan:
    """Bring a pod to its execution's options as they are now. It was created from the template with the frozen ones.

    If the execution has several templates, the pod may have values of other origin, so it gets only enforced values.

    Args:
        engine: of the execution.
        execution: metadata of the execution.
        pod: metadata of the pod.

    Raises:
        execution_options.options.snapshot.InvalidSnapshotError: the execution's snapshot cannot be read.
        execution_options.options.live.InvalidLiveError: a record of ours cannot be read.
        execution_options.options.live.LiveTooLargeError: the annotations are too large.
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
        # A template that never passed admission has only its author's values.
        | ({} if missed else resolved(getattr(options.frozen, kind), _authored(authored, (*place, kind))))
        for kind in KINDS
    }
    left, changes = _reconciled(pod, options.now, authored, place, base)
    if missed:
        changes["labels"][ID_LABEL] = current.snapshot.id
    _check_size(pod, changes)
    return Plan(metadata_patch(pod, changes), left, _restored(pod, changes, options.now, base))


def slot_plan(pod: ObjectMeta, *, is_unit: bool) -> Plan:
    """The patch of the label by which a pod takes a slot. A pod that waits, or was left to Kueue, keeps its label.

    Args:
        pod: metadata of a pod whose execution has a limit.
        is_unit: whether it takes a slot.
    """
    labels = pod.labels or {}
    state = labels.get(GATE)
    if is_unit and state is None:
        return Plan(metadata_patch(pod, {"labels": {GATE: label_of(labels)}}))
    if not is_unit and state == CAPPED:
        return Plan(metadata_patch(pod, {"labels": {GATE: None}}))
    return Plan([])


def _restored(
    pod: ObjectMeta, changes: Changes, now: Effective, base: Mapping[str, Mapping[str, str]]
) -> tuple[Left, ...]:
    """Enforced values that the changes restore: the pod has neither the value from its creation nor that of an edit.

    Args:
        pod: metadata of the pod.
        changes: of the pod.
        now: the options as they are now.
        base: labels and annotations that the pod was created with.
    """
    applied = decode_applied((pod.annotations or {}).get(APPLIED_ANNOTATION))
    found = []
    for kind in KINDS:
        wanted: Mapping[str, Sourced[str]] = getattr(now, kind)
        there, written = getattr(pod, kind) or {}, getattr(applied, kind).values
        for key, target in changes[kind].items():
            expected = written[key] if key in written else base[kind].get(key)
            if key in wanted and wanted[key].source.level.is_enforced and there.get(key) != expected:
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
            f"with the options as they are now its annotations would have {size} bytes, "
            f"Kubernetes takes at most {MAX_ANNOTATIONS}"
        )


def template_place(engine: Engine) -> tuple[str, ...] | None:
    """Path of the pods' metadata in an execution; ``None`` if it has no or several templates."""
    if engine.is_pod or len(engine.pod_templates) != 1 or "[" in engine.pod_templates[0]:
        return None
    return (*engine.pod_templates[0].split("."), "metadata")


def _reconciled(
    metadata: ObjectMeta,
    now: Effective,
    authored: Mapping[str, str],
    place: tuple[str, ...],
    base: Mapping[str, Mapping[str, str]],
) -> tuple[tuple[Left, ...], Changes]:
    applied = decode_applied((metadata.annotations or {}).get(APPLIED_ANNOTATION))
    results = {
        kind: reconciled(
            getattr(metadata, kind) or {},
            getattr(now, kind),
            _authored(authored, (*place, kind)),
            base[kind],
            getattr(applied, kind),
        )
        for kind in KINDS
    }
    changes: Changes = {kind: dict(result.changes) for kind, result in results.items()}
    record = Applied(**{kind: result.written for kind, result in results.items()})
    changes["annotations"][APPLIED_ANNOTATION] = encode_applied(record)
    return tuple(left for result in results.values() for left in result.left), changes


def _authored(authored: Mapping[str, str], at: tuple[str, ...]) -> dict[str, str]:
    """The author's values in a map, for keys that options have too.

    Args:
        authored: JSON pointer → the author's value.
        at: path of the map.
    """
    found: dict[str, str] = {}
    for where, value in authored.items():
        *above, key = parts(where)
        if tuple(above) == at:
            found[key] = value
    return found
