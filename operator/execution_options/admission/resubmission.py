"""Copies of executions (``argo resubmit``): what options gave the first execution is removed from the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.names import LIVE_ANNOTATION, NOTIFICATIONS_FINALIZER, SNAPSHOT_ANNOTATION
from execution_options.engines.copies import take_out
from execution_options.engines.paths import lookup
from execution_options.options.live import InvalidLiveError, current_layers, decode_live
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError, decode

if TYPE_CHECKING:
    from execution_options.engines.patch import Patch
    from execution_options.engines.profile import Engine


def clean(patch: Patch, engine: Engine) -> bool:
    """Remove what options gave the first execution, and our finalizer.

    Args:
        patch: the new execution.
        engine: its engine.

    Returns:
        Whether it is a copy of an execution with options.
    """
    _drop_finalizer(patch)
    return _take_out(patch, engine)


def _drop_finalizer(patch: Patch) -> None:
    """Remove our finalizer, which copies carry: without options nothing would ever remove it."""
    at = ("metadata", "finalizers")
    sent = lookup(patch.document, at)
    if isinstance(sent, list) and NOTIFICATIONS_FINALIZER in sent:
        others = [one for one in sent if one != NOTIFICATIONS_FINALIZER]
        if others:
            patch.put(at, others)
        else:
            patch.remove(at)


def _take_out(patch: Patch, engine: Engine) -> bool:
    """Remove what options gave the execution that this one is a copy of; whether it is one."""
    annotations = lookup(patch.document, ("metadata", "annotations")) or {}
    if not isinstance(annotations, dict) or SNAPSHOT_ANNOTATION not in annotations:
        return False
    try:
        snapshot = decode(annotations[SNAPSHOT_ANNOTATION])
        layers = current_layers(snapshot, decode_live(annotations.get(LIVE_ANNOTATION)))
    except (InvalidSnapshotError, InvalidLiveError):
        return False
    # A forged snapshot removes only values of whoever forged it.
    return take_out(patch, engine, snapshot, merge(snapshot.layers), merge(layers))
