"""What happens to an execution when it is updated.

A manifest that is applied again has lists without the items that options added, and would be refused because its pod
template is immutable. So the items are added again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from execution_options.admission.applied import Selective, Written, is_manifest
from execution_options.api import decoding
from execution_options.api.names import (
    INLINE_ANNOTATION,
    LIVE_ANNOTATION,
    MISSED_ANNOTATION,
    OPTIONS_ANNOTATION,
    SNAPSHOT_ANNOTATION,
)
from execution_options.engines.artifacts import keep_reference
from execution_options.engines.elsewhere import written_elsewhere
from execution_options.engines.ownmetadata import is_ours
from execution_options.engines.patch import Operation, Patch, pointer
from execution_options.engines.paths import lookup
from execution_options.engines.places import account_places, env_places, metadata_places, prevailing_places
from execution_options.engines.specification import authored_elsewhere, keep_patches, reference, yield_patches
from execution_options.engines.translate import environment, keep_order, translate
from execution_options.options.levels import prevails
from execution_options.options.live import InvalidLiveError, Live, current_layers, decode_live
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError, decode
from execution_options.parallelism import gate

if TYPE_CHECKING:
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced
    from execution_options.options.merge import Effective
    from execution_options.options.snapshot import Snapshot

KINDS = ("labels", "annotations")


class _Update(NamedTuple):
    """An update of an execution that got options when it was created.

    Attributes:
        patch: changes the new object in place.
        engine: engine of both objects.
        old: the stored object.
        snapshot: the options that it got.
        effective: their values.
        trusted: whether the request is the operator's own.
        manifest: whether a manifest was applied; ``None`` if that is unknown.
    """

    patch: Patch
    engine: Engine
    old: dict[str, Any]
    snapshot: Snapshot
    effective: Effective
    trusted: bool
    manifest: bool | None


def restore(
    engine: Engine, document: dict[str, Any], old: dict[str, Any], *, trusted: bool, manager: str = ""
) -> list[Operation]:
    """Restore in ``document`` what options gave to ``old``; ``document`` is changed in place.

    - Metadata that only the operator may write stays as it is stored, whatever the execution.
    - An execution that got options keeps their labels and annotations, as the options are now.
    - Elsewhere a pod keeps the values of options that its containers still have, and another execution gets back those
      that the update lost. An execution that was created past the webhook never had any there.

    Args:
        engine: engine of both.
        document: the new object.
        old: the stored object.
        trusted: whether the request is the operator's own, which may change its own metadata.
        manager: the field manager that the request names.

    Returns:
        The changes as a JSON patch.
    """
    patch = Patch(document)
    snapshot = _snapshot(old)
    if snapshot is None:
        _restore_reserved(patch, engine, old, trusted=trusted)
        return patch.operations
    manifest = is_manifest(document, old, manager)
    update = _Update(patch, engine, old, snapshot, merge(snapshot.layers), trusted, manifest)
    lost = _lost(update)
    _restore_reserved(patch, engine, old, trusted=trusted)
    _restore_metadata(update)
    if _was_missed(old):
        return patch.operations
    if engine.is_pod:
        _restore_pod(update)
    else:
        _restore_templates(update, lost)
    return patch.operations


def without_effect(document: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Warnings about changes that come too late: options are chosen when an execution is created.

    Args:
        document: the new object.
        old: the stored object.
    """
    names = (OPTIONS_ANNOTATION, INLINE_ANNOTATION)
    versions = [lookup(version, ("metadata", "annotations")) or {} for version in (document, old)]
    return [
        f"metadata.annotations[{name}]: has no effect on an execution that exists; it is read at its creation"
        for name in names
        if versions[0].get(name) != versions[1].get(name)
    ]


def _snapshot(old: dict[str, Any]) -> Snapshot | None:
    """The snapshot of the stored object; ``None`` if it has none, or one that cannot be read."""
    try:
        return decode(lookup(old, ("metadata", "annotations", SNAPSHOT_ANNOTATION)) or "")
    except InvalidSnapshotError:
        return None


def _was_missed(old: dict[str, Any]) -> bool:
    """Whether the execution was created past the webhook: options then gave something to its metadata alone."""
    return lookup(old, ("metadata", "annotations", MISSED_ANNOTATION)) is not None


def _restore_reserved(patch: Patch, engine: Engine, old: dict[str, Any], *, trusted: bool) -> None:
    """Undo every change of what only the operator may write, unless the operator made it."""
    if not trusted:
        for place in metadata_places(engine, patch.document):
            _keep_ours(patch, place, old)
        keep_patches(patch, engine, old)
        _drop_forged(patch, engine, old)


def _drop_forged(patch: Patch, engine: Engine, old: dict[str, Any]) -> None:
    """Remove metadata of ours from where it would win over what pods get of it, unless an engine copied it there."""
    given = [lookup(old, place) or {} for place in metadata_places(engine, old)[1:]]
    for place in prevailing_places(engine, patch.document):
        for kind in KINDS:
            for key, value in list((lookup(patch.document, (*place, kind)) or {}).items()):
                if is_ours(kind, key) and not any((one.get(kind) or {}).get(key) == value for one in given):
                    patch.remove((*place, kind, key))


def _restore_metadata(update: _Update) -> None:
    """Restore labels and annotations of the execution itself, which follow edits of its options."""
    now = merge(current_layers(update.snapshot, _live(update.old)))
    for kind, wanted in zip(KINDS, (now.labels, now.annotations), strict=True):
        for key, value in wanted.items():
            _restore_entry(update, ("metadata", kind, key), value)


def _restore_entry(update: _Update, at: Path, value: Sourced[str]) -> None:
    """Restore one label or annotation of the execution.

    An enforced value always stays, unless the operator changes it. A default stays if a manifest was applied and the
    options prevail over what it has there; whoever read the object may change it.

    Args:
        update: the update.
        at: place of the label or annotation.
        value: its value by the options as they are now.
    """
    stored, written = (lookup(version, at) for version in (update.old, update.patch.document))
    enforced = value.source.level.is_enforced and not update.trusted
    if stored is None:
        if enforced:
            update.patch.put(at, value.value)
        return
    authored = update.snapshot.authored.get(pointer(at))
    # A manifest that is merged has the author's original value again.
    applied = update.manifest or (update.manifest is None and written is not None and written == authored)
    if enforced or (applied and prevails(value, written)):
        # The author's original value no longer counts once the manifest lacks it.
        update.patch.put(at, value.value if written is None and stored == authored else stored)


def _lost(update: _Update) -> Selective:
    """A patch that changes only places where the update lost what options gave; to be made before other changes."""
    sent = {name: value for name, value in update.patch.document.items() if name not in ("metadata", "status")}
    # A copy, because the document changes.
    sent = decoding.read(msgspec.json.encode(sent), dict[str, Any], prune=False)
    written = Written(update.engine, sent, update.old, update.manifest, update.snapshot, update.effective)
    return Selective(update.patch, written)


def _restore_templates(update: _Update, lost: Selective) -> None:
    """Restore everything but the execution's own metadata.

    Args:
        update: the update.
        lost: changes only what the update lost.
    """
    _give(lost, update, update.effective)
    enforced = [layer for layer in update.snapshot.layers if layer.source.level.is_enforced]
    if enforced and not update.trusted and not update.engine.immutable_templates:
        _give(update.patch, update, merge(enforced))


def _restore_pod(update: _Update) -> None:
    """Restore what options gave to a pod, which is immutable, in place of its author's values.

    Nothing that is absent is added: it may be missing in a container that somebody else added.
    """
    patch, engine, old, snapshot = update.patch, update.engine, update.old, update.snapshot
    for place in account_places(engine, patch.document):
        if snapshot.account and lookup(old, place) == snapshot.account:
            patch.put(place, snapshot.account)
            if lookup(patch.document, older := (*place[:-1], "serviceAccount")) is not None:
                patch.put(older, snapshot.account)
    wanted = environment(update.effective, snapshot.location)
    for place in env_places(engine, patch.document):
        stored = {entry.get("name"): entry for entry in lookup(old, place) or ()}
        for index, entry in enumerate(lookup(patch.document, place) or ()):
            name = entry.get("name")
            if name in wanted and name in stored and stored[name].get("value", "") == wanted[name].value:
                patch.put((*place, index), stored[name])


def _live(old: dict[str, Any]) -> Live:
    """Edits of options that reached the execution. They reach no pod template."""
    try:
        return decode_live(lookup(old, ("metadata", "annotations", LIVE_ANNOTATION)))
    except InvalidLiveError:
        return Live()


def _give(patch: Patch, update: _Update, wanted: Effective) -> None:
    """Write options everywhere but into the execution's own metadata.

    Args:
        patch: takes the changes.
        update: the update.
        wanted: values of the options.
    """
    engine, snapshot = update.engine, update.snapshot
    keep_reference(patch, engine, update.old, wanted.output_location_prefix)
    templates = metadata_places(engine, patch.document)[1:]
    # The other object with the author's values is not read again.
    elsewhere: dict[str, Any] = {}
    if reference(engine, patch.document):
        elsewhere = authored_elsewhere(engine, patch.document, snapshot.authored)
        yield_patches(patch, engine, wanted, elsewhere)
    elsewhere = written_elsewhere(engine, patch.document, elsewhere)
    translate(
        patch,
        templates,
        engine,
        wanted,
        identifier=snapshot.id,
        location=snapshot.location,
        elsewhere=elsewhere,
    )
    keep_order(patch, engine, update.old)
    gate.mark(patch, templates, engine, wanted.max_parallelism)


def _keep_ours(patch: Patch, place: Path, old: dict[str, Any]) -> None:
    """Undo every change of labels and annotations that only the operator may write."""
    for kind in KINDS:
        there, stored = (lookup(version, (*place, kind)) or {} for version in (patch.document, old))
        for key in [key for key in {**there, **stored} if is_ours(kind, key)]:
            if key in stored:
                patch.put((*place, kind, key), stored[key])
            else:
                patch.remove((*place, kind, key))
