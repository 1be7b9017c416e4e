"""What happens to an execution when it is created."""

from __future__ import annotations

import copy
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from execution_options.admission.accounts import InvalidRoleError, binding, identity, is_bound_by_others
from execution_options.admission.inline import check_limits
from execution_options.admission.refusal import RefusedError
from execution_options.admission.typos import of_template
from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.names import (
    CLUSTER_OPTIONS_KIND,
    NOTIFICATIONS_FINALIZER,
    OPTIONS_ANNOTATION,
    OPTIONS_KIND,
    PLURALS,
    SNAPSHOT_ANNOTATION,
)
from execution_options.api.size import MAX_SNAPSHOT
from execution_options.engines.artifacts import Referred, Repositories, refer
from execution_options.engines.authors import notes
from execution_options.engines.differences import absent_notes
from execution_options.engines.effects import effect_notes
from execution_options.engines.fields import cache_places
from execution_options.engines.patch import Operation, Patch
from execution_options.engines.paths import lookup
from execution_options.engines.specification import add_patches, drop_patches
from execution_options.engines.translate import (
    AUTHORS_ANNOTATIONS,
    PatchTooLargeError,
    account_places,
    metadata_places,
    output_location,
    prevailing_places,
    strip_forged,
    translate,
)
from execution_options.options.levels import Level, Sourced
from execution_options.options.merge import Effective
from execution_options.options.prepared import prepare
from execution_options.options.selection import Execution, Selection, out_of_reach, select
from execution_options.options.snapshot import Snapshot, encode
from execution_options.parallelism import gate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.admission.accounts import Account
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine

MAX_LISTED = 10
_MOST = 2 * MAX_SNAPSHOT
"""Bytes of annotations that options can add to one ``metadata``: a snapshot, and what it says of annotations."""

NO_REPOSITORIES = Repositories()


class Decision(Struct, frozen=True):
    """What an execution gets.

    ``account`` is the service account that it gets from options: see :meth:`check_account`.
    ``left_out`` is why it gets no options although some apply; empty where it gets them.
    """

    operations: list[Operation]
    selection: Selection
    effective: Effective
    notes: list[str] = []
    account: str = ""
    left_out: str = ""

    def check_account(self, engine: Engine, namespace: str, found: Account | None) -> None:
        """What follows from what :attr:`account` is now (``None``: it does not exist).

        Raises:
            RefusedError: the execution cannot be without it, or would run under an identity that is not its options'.
        """
        run_as = self.effective.run_as
        if run_as is None or not self.account:
            return
        what = f"service account {self.account!r} of {run_as.source}"
        role = None if run_as.value.iam_role is UNSET else run_as.value.iam_role
        creates = run_as.value.service_account_policy == "Create"
        try:
            annotation = binding(role) if creates else {}
        except InvalidRoleError as error:
            raise RefusedError("InvalidIamRole", f"{run_as.source}: {error}") from error
        if found is None:
            _require(engine, namespace, what, run_as.source.kind, creates=creates)
        elif creates and is_bound_by_others(found, annotation, run_as.source.uid):
            raise RefusedError(
                "IdentityConflict",
                f"{what} belongs to other options too, which bind it to {identity(found)}, not to "
                f"{'no cloud identity' if role is None else repr(role)}; name another account there, or the same "
                f"iamRole in all of them",
            )


def _require(engine: Engine, namespace: str, what: str, kind: str, *, creates: bool) -> None:
    if not creates:
        raise RefusedError(
            "ServiceAccountMissing",
            f"{what} does not exist in namespace {namespace}; create it, or set serviceAccountPolicy: Create there",
        )
    if engine.is_pod:
        # The API server itself refuses a pod whose account is missing, with less of an explanation.
        if kind == CLUSTER_OPTIONS_KIND:
            raise RefusedError(
                "ServiceAccountMissing",
                f"{what} does not exist in namespace {namespace}; create it, because cluster options create "
                f"accounts only where an execution that is not a bare pod needs them",
            )
        raise RefusedError("NotReady", f"{what} is being created, try again in a moment")


def decide(
    engine: Engine,
    document: dict[str, Any],
    execution: Execution,
    candidates: Iterable[OptionsObject],
    identifier: str,
    specification: Mapping[str, Any] | None = None,
    repositories: Repositories = NO_REPOSITORIES,
) -> Decision:
    """Decide on the creation of ``document``, which is changed in place.

    Args:
        engine: its engine.
        document: the execution.
        execution: what is known of it.
        candidates: the options that it can have.
        identifier: a new one.
        specification: the object that it takes the rest of its specification from, if there is one.
        repositories: the artifact repositories of its namespace, where its engine has any.

    Raises:
        RefusedError: it refers to options that do not exist, whose artifact repository is not there yet, or that do
            not fit into its annotations or into a patch.
        execution_options.options.snapshot.SnapshotTooLargeError: its options are too large.
    """
    check_limits(execution)
    known = list(candidates)
    selection = select(execution, known)
    if selection.missing:
        raise RefusedError("OptionsMissing", _missing(selection, execution, known))
    patch = Patch(document)
    drop_patches(patch, engine)
    places = metadata_places(engine, document)
    mistaken = [
        *_mistaken(strip_forged(patch, [*places, *prevailing_places(engine, document)])),
        *of_template(document, places[1:], engine.kind),
    ]
    if not selection.layers:
        return Decision(patch.operations, selection, Effective(), mistaken)
    given = patch, engine, execution, selection, identifier, specification, repositories, mistaken
    if all(_size(document, place) <= MAX_ANNOTATIONS - _MOST for place in places):
        return _give(*given)
    original, operations = copy.deepcopy(document), list(patch.operations)
    decision = _give(*given)
    problem = _crowded(original, document, metadata_places(engine, document))
    if not problem:
        return decision
    sources = [layer.source for layer in selection.layers if layer.source.kind in PLURALS]
    if asked_for := [source for source in sources if source.level.overrules_author]:
        why = f"{problem}; it must not be without {asked_for[-1]}: make its annotations smaller"
        raise RefusedError("AnnotationsFull", why)
    document.clear()
    document.update(original)
    said = f"it gets no options: {problem}"
    return Decision(operations, selection, Effective(), [*mistaken, said], left_out=problem)


def _size(document: Mapping[str, Any], place: Path) -> int:
    return annotations_size(lookup(document, (*place, "annotations")))


def _crowded(original: Mapping[str, Any], changed: Mapping[str, Any], places: Iterable[Path]) -> str:
    """Why annotations that options gave do not fit; empty where they do."""
    for place in places:
        before, after = (_size(document, place) for document in (original, changed))
        if before < after > MAX_ANNOTATIONS:
            return (
                f"annotations of {'.'.join(map(str, place))} have {before} bytes, options add {after - before}, "
                f"and Kubernetes takes at most {MAX_ANNOTATIONS}"
            )
    return ""


def _give(
    patch: Patch,
    engine: Engine,
    execution: Execution,
    selection: Selection,
    identifier: str,
    specification: Mapping[str, Any] | None,
    repositories: Repositories,
    mistaken: list[str],
) -> Decision:
    """Write what options say, and their snapshot, into the execution that ``patch`` changes."""
    document, places = patch.document, metadata_places(engine, patch.document)
    prepared = prepare(selection.layers)
    effective = prepared.effective
    prefix = effective.output_location_prefix
    location = (
        ""
        if prefix is None
        else output_location(prefix.value, execution.namespace, execution.name, execution.generate_name, identifier)
    )
    elsewhere = add_patches(patch, engine, specification)
    if engine.template_patches is not UNSET:
        places = metadata_places(engine, document)
    try:
        authored = translate(
            patch, places, engine, effective, identifier=identifier, location=location, elsewhere=elsewhere
        )
    except PatchTooLargeError as error:
        raise RefusedError("PatchTooLarge", str(error)) from error
    referred = _refer(patch, engine, effective, location, repositories, elsewhere)
    authored |= referred.authored
    gate.mark(patch, places, engine, effective.max_parallelism)
    account = _account(engine, document, effective)
    snapshot = Snapshot(
        id=identifier,
        account=account,
        layers=prepared.frozen,
        location=location,
        authored=authored,
    )
    patch.put(("metadata", "annotations", SNAPSHOT_ANNOTATION), encode(snapshot))
    held = lookup(document, ("metadata", "finalizers")) or []
    # The end of a pod that claims a controller is told to nobody, so nothing would let go of it.
    owners = lookup(document, ("metadata", "ownerReferences")) or ()
    is_followed = not engine.is_pod or not any(owner.get("controller") for owner in owners)
    if effective.is_held and is_followed and NOTIFICATIONS_FINALIZER not in held:
        # Only here it is there before the execution can end and go.
        patch.put(("metadata", "finalizers"), [*held, NOTIFICATIONS_FINALIZER])
    said = [
        *mistaken,
        *notes(authored, effective),
        *effect_notes(effective, engine, document, Level.LAUNCH_PLAN),
        *absent_notes(engine, document, effective, Level.LAUNCH_PLAN),
        *gate.notes(engine, document, effective.max_parallelism),
    ]
    overwrite = effective.overwrite_cache
    if overwrite is not None and overwrite.value and cache_places(engine, elsewhere):
        said.append(f"overwriteCache: has no effect on what its template caches, in spite of {overwrite.source}")
    if referred.problem:
        said.append(f"{referred.problem}: artifacts are stored as without options")
    return Decision(patch.operations, selection, effective, said, account)


def _refer(
    patch: Patch,
    engine: Engine,
    effective: Effective,
    location: str,
    repositories: Repositories,
    elsewhere: Mapping[str, Any],
) -> Referred:
    """Have artifacts stored at ``location``, which options that were asked for need not do without."""
    prefix = effective.output_location_prefix
    if prefix is None:
        return Referred()
    referred = refer(patch, engine, Sourced(location, prefix.source), repositories, elsewhere)
    if referred.passing and prefix.source.level.overrules_author:
        message = f"{referred.problem} (outputLocationPrefix of {prefix.source}), try again in a moment"
        raise RefusedError("NotReady", message)
    return referred


def _mistaken(removed: Iterable[tuple[str, str]]) -> list[str]:
    """What of the metadata that was removed is the author's misspelling rather than somebody's forgery."""
    said: dict[str, None] = {}
    for kind, key in removed:
        if key in AUTHORS_ANNOTATIONS:
            said[f"label {key} has no effect and was removed: write it as an annotation"] = None
        elif close := get_close_matches(key, AUTHORS_ANNOTATIONS, n=1, cutoff=0.85):
            said[f"{kind.removesuffix('s')} {key} is unknown and was removed: write the annotation {close[0]}"] = None
    return list(said)


def _account(engine: Engine, document: dict[str, Any], effective: Effective) -> str:
    """The service account of the options; none where its author's stays everywhere."""
    account = UNSET if effective.run_as is None else effective.run_as.value.k8s_service_account
    if account is UNSET or account not in [lookup(document, at) for at in account_places(engine, document)]:
        return ""
    return account


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
    usable = [options for options in candidates if out_of_reach(options, execution) is None]
    here = _listed([o.name for o in usable if o.kind == OPTIONS_KIND])
    cluster = _listed([f"cluster/{o.name}" for o in usable if o.kind == CLUSTER_OPTIONS_KIND])
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
