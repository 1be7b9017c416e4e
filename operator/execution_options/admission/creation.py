"""What happens to an execution when it is created."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, Struct, structs

from execution_options.admission.inline import check_limits
from execution_options.admission.refusal import RefusedError, missing_options
from execution_options.admission.resubmission import clean
from execution_options.admission.runas import account_of, check, check_place
from execution_options.admission.typos import of_removed, of_template
from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.names import (
    NOTIFICATIONS_FINALIZER,
    PLURALS,
    SNAPSHOT_ANNOTATION,
)
from execution_options.api.size import MAX_SNAPSHOT
from execution_options.engines.artifacts import Referred, Repositories, refer
from execution_options.engines.authors import notes
from execution_options.engines.differences import absent_notes
from execution_options.engines.effects import effect_notes
from execution_options.engines.elsewhere import written_elsewhere
from execution_options.engines.fields import cache_places
from execution_options.engines.foundby import found_by, kept_notes
from execution_options.engines.ownmetadata import strip_forged
from execution_options.engines.patch import Operation, Patch
from execution_options.engines.paths import lookup
from execution_options.engines.places import metadata_places, prevailing_places
from execution_options.engines.specification import add_patches, drop_patches
from execution_options.engines.translate import PatchTooLargeError, output_location, translate
from execution_options.options.levels import Level, Sourced
from execution_options.options.merge import Effective
from execution_options.options.prepared import prepare
from execution_options.options.selection import Execution, Selection, select
from execution_options.options.snapshot import Snapshot, encode, without_labels
from execution_options.parallelism import gate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine

_MOST = 2 * MAX_SNAPSHOT
"""Bytes of annotations that options can add to one ``metadata``: the snapshot, and annotations that it holds too."""

NO_REPOSITORIES = Repositories()


class Decision(Struct, frozen=True):
    """What an execution gets.

    Attributes:
        operations: changes of the execution as a JSON patch.
        selection: the options that apply, and those that do not.
        effective: the values that it gets.
        notes: warnings for whoever creates it.
        account: the service account that it gets from options, see :meth:`check_account`; empty if it gets none.
        left_out: why it gets no options although some apply; empty otherwise.
    """

    operations: list[Operation]
    selection: Selection
    effective: Effective
    notes: list[str] = []
    account: str = ""
    left_out: str = ""

    def check_account(self, engine: Engine, namespace: str, found: ObjectMeta | None) -> None:
        """Check the service account that the execution gets, if it gets one.

        Args:
            engine: of the execution.
            namespace: of the execution.
            found: the account; ``None`` if it does not exist.

        Raises:
            RefusedError: as :func:`check`.
        """
        if self.effective.run_as is not None and self.account:
            check(self.account, self.effective.run_as, engine, namespace, found)


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
        engine: engine of the execution.
        document: the execution.
        execution: its facts for the selection.
        candidates: the options that it can have.
        identifier: a new identifier.
        specification: the object that it refers to for the rest of its specification, if any.
        repositories: the artifact repositories of its namespace, if its engine uses them.

    Raises:
        RefusedError: it refers to options that do not exist, inline options break a limit of its namespace, an
            artifact repository is not rendered yet, or the options do not fit into its annotations or into a patch.
        execution_options.options.snapshot.SnapshotTooLargeError: its options are too large.
    """
    check_limits(execution)
    known = list(candidates)
    patch = Patch(document)
    drop_patches(patch, engine)
    is_copy = clean(patch, engine)
    if is_copy:
        # Labels that options gave the first execution select no options for this one.
        execution = structs.replace(execution, labels=lookup(document, ("metadata", "labels")) or {})
    selection = select(execution, known)
    if selection.missing:
        raise RefusedError("OptionsMissing", missing_options(selection, execution, known))
    places = metadata_places(engine, document)
    mistaken = [
        *(["it is a copy of an execution with options: what these gave that one was removed"] if is_copy else []),
        *of_removed(strip_forged(patch, [*places, *prevailing_places(engine, document)])),
        *of_template(document, places[1:], engine.kind),
    ]
    if not selection.layers:
        return Decision(patch.operations, selection, Effective(), mistaken)
    creation = _Creation(engine, execution, identifier, specification, repositories)
    if all(_size(document, place) <= MAX_ANNOTATIONS - _MOST for place in places):
        return creation.give(patch, selection, mistaken)
    original, operations = copy.deepcopy(document), list(patch.operations)
    decision = creation.give(patch, selection, mistaken)
    problem = _crowded(original, document, metadata_places(engine, document))
    if not problem:
        return decision
    sources = [layer.source for layer in selection.layers if layer.source.kind in PLURALS]
    if asked_for := [source for source in sources if source.level.overrules_author]:
        why = f"{problem}; it must not be without {asked_for[-1]}: make its annotations smaller"
        raise RefusedError("AnnotationsFull", why)
    document.clear()
    document.update(original)
    note = f"it gets no options: {problem}"
    return Decision(operations, selection, Effective(), [*mistaken, note], left_out=problem)


def _size(document: Mapping[str, Any], place: Path) -> int:
    return annotations_size(lookup(document, (*place, "annotations")))


def _crowded(original: Mapping[str, Any], changed: Mapping[str, Any], places: Iterable[Path]) -> str:
    """Why the annotations are too large with those of options.

    Args:
        original: the execution without options.
        changed: the execution with options.
        places: the ``metadata`` of the execution and its templates.

    Returns:
        The reason; empty if they fit, or were too large before.
    """
    for place in places:
        before, after = (_size(document, place) for document in (original, changed))
        if before < after > MAX_ANNOTATIONS:
            return (
                f"annotations of {'.'.join(map(str, place))} have {before} bytes, options add {after - before}, "
                f"and Kubernetes takes at most {MAX_ANNOTATIONS}"
            )
    return ""


class _Creation(NamedTuple):
    """An execution that gets options; the fields are arguments of :func:`decide`."""

    engine: Engine
    execution: Execution
    identifier: str
    specification: Mapping[str, Any] | None
    repositories: Repositories

    def give(self, patch: Patch, selection: Selection, mistaken: list[str]) -> Decision:
        """Write the values of options and their snapshot into the execution.

        Args:
            patch: changes the execution.
            selection: the options that apply.
            mistaken: warnings about what its author wrote.
        """
        engine, execution, identifier = self.engine, self.execution, self.identifier
        document, places = patch.document, metadata_places(engine, patch.document)
        prepared = prepare(selection.layers)
        kept = found_by(engine, document)
        mistaken = [*mistaken, *kept_notes(document, kept, prepared.effective)]
        if not prepared.effective.labels.keys().isdisjoint(kept):
            prepared = prepare(without_labels(selection.layers, kept))
        effective = prepared.effective
        prefix = effective.output_location_prefix
        location = (
            ""
            if prefix is None
            else output_location(prefix.value, execution.namespace, execution.name, execution.generate_name, identifier)
        )
        elsewhere = written_elsewhere(engine, document, add_patches(patch, engine, self.specification))
        if engine.template_patches is not UNSET:
            places = metadata_places(engine, document)
        try:
            authored = translate(
                patch, places, engine, effective, identifier=identifier, location=location, elsewhere=elsewhere
            )
        except PatchTooLargeError as error:
            raise RefusedError("PatchTooLarge", str(error)) from error
        referred = self._refer(patch, effective, location, elsewhere)
        authored |= referred.authored
        gate.mark(patch, places, engine, effective.max_parallelism)
        check_place(engine, document, effective)
        account = account_of(engine, document, effective)
        snapshot = Snapshot(
            id=identifier,
            account=account,
            layers=prepared.frozen,
            location=location,
            authored=authored,
            found_by=kept,
        )
        patch.put(("metadata", "annotations", SNAPSHOT_ANNOTATION), encode(snapshot))
        if effective.is_held:
            self._hold(patch)
        warnings = [
            *mistaken,
            *notes(authored, effective),
            *effect_notes(effective, engine, document, Level.LAUNCH_PLAN),
            *absent_notes(engine, document, effective, Level.LAUNCH_PLAN),
            *gate.notes(engine, document, effective.max_parallelism),
        ]
        overwrite = effective.overwrite_cache
        if overwrite is not None and overwrite.value and cache_places(engine, elsewhere):
            warnings.append(
                f"overwriteCache: has no effect on what its template caches, in spite of {overwrite.source}"
            )
        if referred.problem:
            warnings.append(f"{referred.problem}: artifacts are stored as without options")
        return Decision(patch.operations, selection, effective, warnings, account)

    def _hold(self, patch: Patch) -> None:
        """Add the finalizer that is removed once the notifications of the execution are recorded."""
        present = lookup(patch.document, ("metadata", "finalizers")) or []
        # Nobody follows a pod that claims a controller, so its finalizer would never be removed.
        owners = lookup(patch.document, ("metadata", "ownerReferences")) or ()
        is_followed = not self.engine.is_pod or not any(owner.get("controller") for owner in owners)
        if is_followed and NOTIFICATIONS_FINALIZER not in present:
            # Added later, it could come after the execution was deleted.
            patch.put(("metadata", "finalizers"), [*present, NOTIFICATIONS_FINALIZER])

    def _refer(self, patch: Patch, effective: Effective, location: str, elsewhere: Mapping[str, Any]) -> Referred:
        """Have artifacts stored at the location.

        Args:
            patch: changes the execution.
            effective: the values of its options.
            location: where artifacts go; empty if the options have no prefix.
            elsewhere: fields that the object has to which the execution refers.

        Raises:
            RefusedError: the repository is not rendered yet, and the execution refers to its options or they are
                enforced.
        """
        prefix = effective.output_location_prefix
        if prefix is None:
            return Referred()
        referred = refer(patch, self.engine, Sourced(location, prefix.source), self.repositories, elsewhere)
        if referred.passing and prefix.source.level.overrules_author:
            message = f"{referred.problem} (outputLocationPrefix of {prefix.source}), try again in a moment"
            raise RefusedError("NotReady", message)
        return referred
