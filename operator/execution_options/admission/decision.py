"""What happens to an execution when it is created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_ANNOTATION, OPTIONS_KIND, SNAPSHOT_ANNOTATION
from execution_options.engines.patch import Operation, Patch
from execution_options.engines.translate import metadata_places, notes, output_location, strip_forged, translate
from execution_options.options.merge import Effective, merge
from execution_options.options.selection import Execution, Selection, select
from execution_options.options.snapshot import Snapshot, encode, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine

MAX_LISTED = 10


class RefusedError(Exception):
    """The execution must not be created; the message says why and what would be right."""


class Decision(Struct, frozen=True):
    """What an execution gets.

    ``account`` is the service account that must exist, unless ``account_is_created``.
    """

    operations: list[Operation]
    selection: Selection
    effective: Effective
    notes: list[str] = []
    account: str = ""
    account_is_created: bool = False


def decide(
    engine: Engine,
    document: dict[str, Any],
    execution: Execution,
    candidates: Iterable[OptionsObject],
    identifier: str,
) -> Decision:
    """Decide on the creation of ``document``, which is changed in place.

    Raises:
        RefusedError: it refers to options that do not exist.
        execution_options.options.snapshot.SnapshotTooLargeError: its options are too large.
    """
    known = list(candidates)
    selection = select(execution, known)
    if selection.missing:
        raise RefusedError(_missing(selection, execution, known))
    patch = Patch(document)
    strip_forged(patch, engine)
    if not selection.layers:
        return Decision(patch.operations, selection, Effective())
    effective = merge(selection.layers)
    prefix = effective.output_location_prefix
    location = (
        ""
        if prefix is None
        else output_location(prefix.value, execution.namespace, execution.name, execution.generate_name, identifier)
    )
    places = metadata_places(engine, document)
    authored = translate(patch, places, engine, effective, identifier=identifier, location=location)
    snapshot = Snapshot(
        id=identifier,
        layers=tuple(frozen(layer) for layer in selection.layers),
        location=location,
        authored=authored,
    )
    patch.put(("metadata", "annotations", SNAPSHOT_ANNOTATION), encode(snapshot))
    run_as = None if effective.run_as is None else effective.run_as.value
    account = "" if run_as is None or run_as.k8s_service_account is UNSET else run_as.k8s_service_account
    return Decision(
        patch.operations,
        selection,
        effective,
        notes(authored, effective),
        account,
        run_as is not None and run_as.service_account_policy == "Create",
    )


def _missing(selection: Selection, execution: Execution, candidates: list[OptionsObject]) -> str:
    wanted = ", ".join(f"{target.kind} {target.name!r}" for target in selection.missing)
    reasons = {(rejected.options.kind, rejected.options.name): rejected.reason for rejected in selection.rejected}
    unusable = [
        f"{target.name}: {reasons[target.kind, target.name]}"
        for target in selection.missing
        if (target.kind, target.name) in reasons
    ]
    if unusable:
        return f"{OPTIONS_ANNOTATION} refers to options that cannot be used here: {'; '.join(unusable)}"
    here = _listed([o.name for o in candidates if o.kind == OPTIONS_KIND])
    cluster = _listed([f"cluster/{o.name}" for o in candidates if o.kind == CLUSTER_OPTIONS_KIND])
    by = (
        ""
        if execution.launch_plan is None
        else f" (perhaps on {execution.launch_plan.kind} {execution.launch_plan.name})"
    )
    return (
        f"{OPTIONS_ANNOTATION}{by} refers to {wanted}, which does not exist; "
        f"namespace {execution.namespace} has {here}, the cluster has {cluster}"
    )


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    names = sorted(names)
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
