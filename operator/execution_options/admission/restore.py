"""What happens to an execution when it is updated.

Its pod template is immutable, so whoever applies the original manifest again (``kubectl replace``, Flux)
would be refused unless the manifest gets what it got when it was created.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.api.names import (
    ID_LABEL,
    LIVE_ANNOTATION,
    MISSED_ANNOTATION,
    SNAPSHOT_ANNOTATION,
)
from execution_options.engines.patch import Operation, Patch
from execution_options.engines.profile import lookup
from execution_options.engines.translate import metadata_places, translate
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError, decode

if TYPE_CHECKING:
    from execution_options.engines.profile import Engine

RESERVED = (
    ("labels", ID_LABEL),
    ("annotations", SNAPSHOT_ANNOTATION),
    ("annotations", LIVE_ANNOTATION),
    ("annotations", MISSED_ANNOTATION),
)


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
    # know its identifier is an original manifest, in which what it never mentioned stays.
    original = lookup(document, ("metadata", "labels", ID_LABEL)) is None
    if not trusted:
        for kind, key in RESERVED:
            _keep(patch, ("metadata", kind, key), lookup(old, ("metadata", kind, key)))
    try:
        snapshot = decode(lookup(old, ("metadata", "annotations", SNAPSHOT_ANNOTATION)) or "")
    except InvalidSnapshotError:
        return patch.operations
    effective = merge(snapshot.layers)
    if original:
        for kind, wanted in (("labels", effective.labels), ("annotations", effective.annotations)):
            for key in wanted:
                stored = lookup(old, ("metadata", kind, key))
                if stored is not None and lookup(document, ("metadata", kind, key)) is None:
                    patch.put(("metadata", kind, key), stored)
    if not engine.is_pod:
        templates = metadata_places(engine, document)[1:]
        translate(patch, templates, engine, effective, identifier=snapshot.id, location=snapshot.location)
    return patch.operations


def _keep(patch: Patch, path: tuple[str, ...], stored: str | None) -> None:
    if stored is None:
        patch.remove(path)
    else:
        patch.put(path, stored)
