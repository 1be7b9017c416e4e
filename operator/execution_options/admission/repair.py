"""Executions that were created past the webhook: which they are, and what can still be done for them."""

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
"""How long one request for a creation may take between its first and its last look at the clock."""


class Repair(Struct, frozen=True):
    """A JSON Patch of the execution's metadata.

    Where options apply and there is none, ``problem`` says why the webhook would have refused the execution, or
    ``left_out`` why it would have created it without options.
    """

    operations: list[Operation] = []
    problem: str = ""
    left_out: str = ""
    limited: bool = False
    """Whether its pods are held back from now on: those that it has count."""


class Situation(Struct, frozen=True):
    """What stood around an execution when it was created, as far as that is known now."""

    namespace_labels: Mapping[str, str]
    namespace_since: str
    """When the labels of its namespace last changed (RFC 3339)."""
    plan_annotations: Mapping[str, str]
    """Of what launched it; empty where nothing did."""


def existed(
    engine: Engine, candidates: Iterable[tuple[OptionsObject, str]], situation: Situation, created: str
) -> Iterator[OptionsObject]:
    """The options that existed, as they are now, when an execution was created.

    Others never apply to it: neither options created after it nor an edit that selects it only since.
    Clocks count whole seconds, so what happened in the same one is taken for later. That pods are
    executions at all is said by a label of their namespace.

    Args:
        engine: of the execution.
        candidates: options in reach, each with the time since when it says what it says.
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
    """Whether options seem to apply to an execution, so that a closer look is worth its requests."""
    try:
        plan = launch_plan(engine, metadata, situation.plan_annotations)
        execution = execution_of(engine, metadata, metadata.namespace, situation.namespace_labels, plan)
    except InvalidReferenceError:
        return True
    selection = select(execution, (options for options, _ in candidates))
    return _has_options(selection) or bool(selection.missing)


def _has_options(selection: Selection) -> bool:
    """An annotation of the execution itself is a layer too, but no options object."""
    return any(layer.source.uid for layer in selection.layers)


def repair(
    engine: Engine,
    document: dict[str, Any],
    candidates: Iterable[OptionsObject],
    situation: Situation,
    now: str,
    identifier: str,
) -> Repair | None:
    """What to write to an execution that was created past the webhook; ``None`` where no options apply to it.

    Args:
        engine: of the execution.
        document: the whole execution, as read.
        candidates: options that existed when it was created.
        situation: of the execution.
        now: the time to note on it (RFC 3339).
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
    """Whether labels or annotations of an object may have been changed by somebody after its creation.

    Options might select it only since, which is no reason to give them to it.
    """
    metadata = document["metadata"]
    created = _time(metadata["creationTimestamp"]) + TOLERANCE
    for entry in metadata.get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if {"f:labels", "f:annotations"} & fields.keys() and entry.get("time") and _time(entry["time"]) > created:
            return True
    return False


def unrepaired(effective: Effective, authored: Mapping[str, str]) -> list[str]:
    """What options say that could only have been given to an execution when it was created."""
    said: list[str] = []
    run_as = effective.run_as
    if run_as is not None and run_as.value.k8s_service_account is not UNSET:
        stays = not run_as.source.level.overrules_author and any(at.endswith("/serviceAccountName") for at in authored)
        if not stays:
            said.append(f"service account {run_as.value.k8s_service_account or 'default'!r}")
    if effective.envs:
        said.append(f"environment variables {', '.join(sorted(effective.envs))}")
    if effective.output_location_prefix is not None:
        said.append(f"storage prefix {effective.output_location_prefix.value!r}")
    if effective.overwrite_cache is not None and effective.overwrite_cache.value:
        said.append("the cache overwrite")
    return said


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
