"""What happens to an execution when it is updated.

Whoever applies its manifest again writes lists without what options gave there, and would be refused where its pod
template is immutable. So a manifest gets what the execution got when it was created.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.admission.applied import Selective, Written, is_manifest
from execution_options.api import decoding
from execution_options.api.names import LIVE_ANNOTATION, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.engines.artifacts import keep_reference
from execution_options.engines.patch import Operation, Patch, pointer
from execution_options.engines.paths import lookup
from execution_options.engines.specification import keep_patches, reference, said_elsewhere, yield_patches
from execution_options.engines.translate import (
    account_places,
    env_places,
    environment,
    is_ours,
    keep_order,
    metadata_places,
    prevailing_places,
    translate,
)
from execution_options.options.levels import prevails
from execution_options.options.live import InvalidLiveError, Live, current_layers, decode_live
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError, decode
from execution_options.parallelism import gate

if TYPE_CHECKING:
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine
    from execution_options.options.merge import Effective
    from execution_options.options.snapshot import Snapshot

KINDS = ("labels", "annotations")


def restore(
    engine: Engine, document: dict[str, Any], old: dict[str, Any], *, trusted: bool, manager: str = ""
) -> list[Operation]:
    """Give ``document`` what ``old`` got from us; ``document`` is changed in place.

    Args:
        engine: engine of both.
        document: the new object.
        old: the stored object.
        trusted: whether the request is the operator's own, which may change its own metadata.
        manager: the field manager that the request names.
    """
    patch = Patch(document)
    # Who read the object himself says what is to be there; who applies a manifest gets what it got at first.
    manifest = is_manifest(document, old, manager)
    try:
        snapshot = decode(lookup(old, ("metadata", "annotations", SNAPSHOT_ANNOTATION)) or "")
    except InvalidSnapshotError:
        _keep_all(patch, engine, old, trusted=trusted)
        return patch.operations
    effective = merge(snapshot.layers)
    # Of what was sent, before anything in it is changed.
    sent = {name: value for name, value in document.items() if name not in ("metadata", "status")}
    sent = decoding.read(msgspec.json.encode(sent), dict[str, Any], prune=False)
    lost = Selective(patch, Written(engine, sent, old, manifest, snapshot, effective))
    _keep_all(patch, engine, old, trusted=trusted)
    _own_metadata(patch, old, snapshot, manifest, trusted=trusted)
    # A missed execution was repaired in its metadata alone: its pod template never had anything of ours.
    if lookup(old, ("metadata", "annotations", MISSED_ANNOTATION)) is not None:
        return patch.operations
    if engine.is_pod:
        _keep_pod(patch, engine, old, snapshot, effective)
        return patch.operations
    _give(lost, engine, snapshot, old, effective)
    enforced = [layer for layer in snapshot.layers if layer.source.level.is_enforced]
    if enforced and not trusted and not engine.immutable_templates:
        _give(patch, engine, snapshot, old, merge(enforced))
    return patch.operations


def _keep_all(patch: Patch, engine: Engine, old: dict[str, Any], *, trusted: bool) -> None:
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


def _own_metadata(
    patch: Patch, old: dict[str, Any], snapshot: Snapshot, manifest: bool | None, *, trusted: bool
) -> None:
    """Labels and annotations of the execution itself, which follow edits of its options."""
    now = merge(current_layers(snapshot, _live(old)))
    for kind, wanted in zip(KINDS, (now.labels, now.annotations), strict=True):
        for key, value in wanted.items():
            at = ("metadata", kind, key)
            stored, written = (lookup(version, at) for version in (old, patch.document))
            first = snapshot.authored.get(pointer(at))
            # A merge of a manifest writes its author's first word again.
            applied = manifest or (manifest is None and written is not None and written == first)
            if stored is None:
                if not trusted and value.source.level.is_enforced:
                    patch.put(at, value.value)
                continue
            if (applied and prevails(value, written)) or (not trusted and value.source.level.is_enforced):
                # What its author wrote no more is no longer his word.
                patch.put(at, value.value if written is None and stored == first else stored)


def _keep_pod(patch: Patch, engine: Engine, old: dict[str, Any], snapshot: Snapshot, effective: Effective) -> None:
    """Put back into a pod, which is immutable, what stood there in the place of its author's words.

    Containers that others added are none of ours, so nothing that is absent is given.
    """
    for place in account_places(engine, patch.document):
        if snapshot.account and lookup(old, place) == snapshot.account:
            patch.put(place, snapshot.account)
            if lookup(patch.document, older := (*place[:-1], "serviceAccount")) is not None:
                patch.put(older, snapshot.account)
    wanted = environment(effective, snapshot.location)
    for place in env_places(engine, patch.document):
        stored = {entry.get("name"): entry for entry in lookup(old, place) or ()}
        for index, entry in enumerate(lookup(patch.document, place) or ()):
            name = entry.get("name")
            if name in wanted and name in stored and stored[name].get("value", "") == wanted[name].value:
                patch.put((*place, index), stored[name])


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
    elsewhere = {}
    if reference(engine, patch.document):
        elsewhere = said_elsewhere(engine, patch.document, snapshot.authored)
        yield_patches(patch, engine, wanted, elsewhere)
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


def _keep_ours(patch: Patch, place: Path, old: dict[str, Any]) -> None:
    """Undo every change of metadata that only the operator may write."""
    for kind in KINDS:
        there, stored = (lookup(version, (*place, kind)) or {} for version in (patch.document, old))
        for key in [key for key in {**there, **stored} if is_ours(kind, key)]:
            if key in stored:
                patch.put((*place, kind, key), stored[key])
            else:
                patch.remove((*place, kind, key))
