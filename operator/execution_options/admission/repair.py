"""Executions that were created past the webhook: how they are recognized, and what they still get."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Struct

from execution_options.admission.creation import decide
from execution_options.admission.refusal import RefusedError
from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.meta import ObjectMeta
from execution_options.api.model import ClusterExecutionOptionsSpec
from execution_options.api.names import CAPPED, GATE, MISSED_ANNOTATION
from execution_options.engines.facts import execution_of, launch_plan
from execution_options.engines.metadatapatch import Changes, metadata_patch
from execution_options.engines.patch import Operation
from execution_options.options.reference import InvalidReferenceError
from execution_options.options.selection import select
from execution_options.options.snapshot import SnapshotTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.options.merge import Effective
    from execution_options.options.selection import Selection

TOLERANCE: Final = timedelta(seconds=5)
"""Longest time between the creation timestamp of an object and the times in its managed fields."""


class Repair(Struct, frozen=True):
    """A JSON patch of the execution's metadata.

    Attributes:
        operations: the patch.
        problem: why the webhook would have refused the execution; empty otherwise.
        left_out: why the webhook would have created it without options; empty otherwise.
        limited: whether its pods are held back from now on. Its existing pods count towards the limit.
    """

    operations: list[Operation] = []
    problem: str = ""
    left_out: str = ""
    limited: bool = False


class Situation(Struct, frozen=True):
    """The context in which an execution was created, as far as it can still be known."""

    namespace_labels: Mapping[str, str]
    namespace_since: str
    """When the labels of its namespace last changed (RFC 3339)."""
    plan_annotations: Mapping[str, str]
    """Annotations of the launch plan; empty if there is none."""


def existed(
    engine: Engine, candidates: Iterable[tuple[OptionsObject, str]], situation: Situation, created: str
) -> Iterator[OptionsObject]:
    """The options that had their present spec when an execution was created.

    No others apply to it: neither later options nor options that were edited later. Timestamps have whole seconds, so a
    change in the same second counts as later. For bare pods the labels of their namespace count too, because one of
    them makes pods executions.

    Args:
        engine: of the execution.
        candidates: options in reach, each with the time of its last change (RFC 3339).
        situation: of the execution.
        created: creation time of the execution (RFC 3339).
    """
    for options, since in candidates:
        spec = options.spec
        selects_namespaces = isinstance(spec, ClusterExecutionOptionsSpec) and spec.namespace_selector is not UNSET
        decisive = situation.namespace_since if selects_namespaces or engine.is_pod else ""
        if max(since, decisive) < created:
            yield options


def applies(
    engine: Engine, metadata: ObjectMeta, candidates: Iterable[tuple[OptionsObject, str]], situation: Situation
) -> bool:
    """Whether options seem to apply to an execution, so that reading more about it is worthwhile.

    Args:
        engine: of the execution.
        metadata: of the execution.
        candidates: options in reach, each with the time of its last change.
        situation: of the execution.
    """
    try:
        plan = launch_plan(engine, metadata, situation.plan_annotations)
        execution = execution_of(engine, metadata, metadata.namespace, situation.namespace_labels, plan)
    except InvalidReferenceError:
        return True
    selection = select(execution, (options for options, _ in candidates))
    return _has_options(selection) or bool(selection.missing)


def _has_options(selection: Selection) -> bool:
    """Whether a selection has an options object; an annotation of the execution itself is a layer too."""
    return any(layer.source.uid for layer in selection.layers)


def repair(
    engine: Engine,
    document: dict[str, Any],
    candidates: Iterable[OptionsObject],
    situation: Situation,
    now: str,
    identifier: str,
) -> Repair | None:
    """The changes of an execution that was created past the webhook; ``None`` if no options apply to it.

    Args:
        engine: of the execution.
        document: the whole execution, as read.
        candidates: options that existed when it was created.
        situation: of the execution.
        now: the time to record on it (RFC 3339).
        identifier: the identifier that it gets.
    """
    metadata = msgspec.convert(document["metadata"], ObjectMeta)
    try:
        plan = launch_plan(engine, metadata, situation.plan_annotations)
        execution = execution_of(engine, metadata, metadata.namespace, situation.namespace_labels, plan)
        after = copy.deepcopy(document)
        decision = decide(engine, after, execution, candidates, identifier)
    except (InvalidReferenceError, RefusedError, SnapshotTooLargeError) as refusal:
        return Repair(problem=str(refusal))
    if not _has_options(decision.selection):
        return None
    if decision.left_out:
        return Repair(left_out=decision.left_out)
    after["metadata"]["annotations"][MISSED_ANNOTATION] = now
    limited = GATE in after["metadata"]["labels"]
    if limited:
        # A gate can only be given at creation.
        after["metadata"]["labels"][GATE] = CAPPED
    changes: Changes = {}
    for kind in ("labels", "annotations"):
        before, wanted = document["metadata"].get(kind) or {}, after["metadata"].get(kind) or {}
        changes[kind] = {key: wanted.get(key) for key in {**before, **wanted} if before.get(key) != wanted.get(key)}
    if (size := annotations_size(after["metadata"]["annotations"])) > MAX_ANNOTATIONS:
        return Repair(left_out=f"its annotations would have {size} bytes, Kubernetes takes at most {MAX_ANNOTATIONS}")
    return Repair(metadata_patch(metadata, changes), limited=limited and not engine.is_pod)


def relabelled(document: Mapping[str, Any]) -> bool:
    """Whether labels or annotations of an object may have been changed after its creation.

    Options that select it only because of such a change do not apply to it.
    """
    metadata = document["metadata"]
    created = _time(metadata["creationTimestamp"]) + TOLERANCE
    for entry in metadata.get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if {"f:labels", "f:annotations"} & fields.keys() and entry.get("time") and _time(entry["time"]) > created:
            return True
    return False


def unrepaired(effective: Effective, authored: Mapping[str, str]) -> list[str]:
    """Values of options that an execution can get only at its creation.

    Args:
        effective: the values of its options.
        authored: JSON pointer → the author's value.

    Returns:
        Phrases for a message.
    """
    found: list[str] = []
    run_as = effective.run_as
    if run_as is not None and run_as.value.k8s_service_account is not UNSET:
        stays = not run_as.source.level.overrules_author and any(at.endswith("/serviceAccountName") for at in authored)
        if not stays:
            found.append(f"service account {run_as.value.k8s_service_account or 'default'!r}")
    if effective.envs:
        found.append(f"environment variables {', '.join(sorted(effective.envs))}")
    if effective.output_location_prefix is not None:
        found.append(f"storage prefix {effective.output_location_prefix.value!r}")
    if effective.overwrite_cache is not None and effective.overwrite_cache.value:
        found.append("the cache overwrite")
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
