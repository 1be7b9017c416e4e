"""What happens to an execution when it is updated.

Its pod template is immutable, so whoever applies the original manifest again (``kubectl replace``, Flux)
would be refused unless the manifest gets what it got when it was created.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.api.names import ID_LABEL, LIVE_ANNOTATION, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.engines.artifacts import keep_reference
from execution_options.engines.patch import Operation, Patch, pointer
from execution_options.engines.paths import lookup
from execution_options.engines.specification import keep_patches, reference, said_elsewhere
from execution_options.engines.translate import is_ours, keep_order, metadata_places, prevails, translate
from execution_options.options.levels import Level, Sourced
from execution_options.options.live import InvalidLiveError, Live, current_layers, decode_live
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError, decode
from execution_options.parallelism import gate

if TYPE_CHECKING:
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Layer
    from execution_options.options.merge import Effective
    from execution_options.options.snapshot import Snapshot

KINDS = ("labels", "annotations")


def restore(engine: Engine, document: dict[str, Any], old: dict[str, Any], *, trusted: bool) -> list[Operation]:
    """Give ``document`` what ``old`` got from us; ``document`` is changed in place.

    Args:
        engine: engine of both.
        document: the new object.
        old: the stored object.
        trusted: whether the request is the operator's own, which may change its own metadata.
    """
    patch = Patch(document)
    # An object that was read, changed and sent back says itself what is to be there; one that does not
    # know its identifier is an original manifest, which gets what it got at first. So does a value that is
    # the author's first word again: kubectl and GitOps tools apply manifests by patches of the stored object.
    original = lookup(document, ("metadata", "labels", ID_LABEL)) is None
    if not trusted:
        for place in metadata_places(engine, document):
            _keep_ours(patch, place, old)
    try:
        snapshot = decode(lookup(old, ("metadata", "annotations", SNAPSHOT_ANNOTATION)) or "")
    except InvalidSnapshotError:
        return patch.operations
    effective = merge(snapshot.layers)
    now = merge(current_layers(snapshot, _live(old)))
    for kind, wanted in zip(KINDS, (now.labels, now.annotations), strict=True):
        for key, value in wanted.items():
            at = ("metadata", kind, key)
            stored, written = (lookup(version, at) for version in (old, document))
            applied = original or (written is not None and written == snapshot.authored.get(pointer(at)))
            if stored is None:
                if not trusted and _is_enforced(value):
                    patch.put(at, value.value)
                continue
            if (applied and prevails(value, written)) or (not trusted and _is_enforced(value)):
                patch.put(at, stored)
    # A missed execution was repaired in its metadata alone: its pod template never had anything of ours.
    if engine.is_pod or lookup(old, ("metadata", "annotations", MISSED_ANNOTATION)) is not None:
        return patch.operations
    if original or engine.immutable_templates:
        keep_patches(patch, engine, old)
        _give(patch, engine, snapshot, old, effective)
    elif not trusted and (enforced := [layer for layer in snapshot.layers if _is_enforced(layer)]):
        # Who changes templates that can be changed says himself what is to be there, but for what is enforced.
        _give(patch, engine, snapshot, old, merge(enforced))
    return patch.operations


def _live(old: dict[str, Any]) -> Live:
    """Edits that reached the execution; its pod template has none of them."""
    try:
        return decode_live(lookup(old, ("metadata", "annotations", LIVE_ANNOTATION)))
    except InvalidLiveError:
        return Live()


def _give(patch: Patch, engine: Engine, snapshot: Snapshot, old: dict[str, Any], wanted: Effective) -> None:
    """Write what an execution got when it was created everywhere but into its own metadata."""
    keep_reference(patch, engine, old, wanted.output_location_prefix)
    templates = metadata_places(engine, patch.document)[1:]
    # What its author wrote in another object is not read again.
    elsewhere = said_elsewhere(snapshot.authored) if reference(engine, patch.document) else None
    translate(
        patch,
        templates,
        engine,
        wanted,
        identifier=snapshot.id,
        location=snapshot.location,
        elsewhere=elsewhere,
    )
    keep_order(patch, engine, old)
    gate.mark(patch, templates, engine, wanted.max_parallelism)


def _is_enforced(value: Sourced[str] | Layer) -> bool:
    return value.source.level >= Level.NAMESPACE_ENFORCE


def _keep_ours(patch: Patch, place: Path, old: dict[str, Any]) -> None:
    """Undo every change of metadata that only the operator may write."""
    for kind in KINDS:
        there, stored = (lookup(version, (*place, kind)) or {} for version in (patch.document, old))
        for key in [key for key in {**there, **stored} if is_ours(kind, key)]:
            if key in stored:
                patch.put((*place, kind, key), stored[key])
            else:
                patch.remove((*place, kind, key))
