"""The ``execution.dev/`` metadata of executions, which only this operator may write, except for a few annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.names import (
    DISABLE_NOTIFICATIONS_ANNOTATION,
    GROUP,
    GROUP_ANNOTATION,
    INLINE_ANNOTATION,
    OPTIONS_ANNOTATION,
)
from execution_options.engines.managedfields import disown
from execution_options.engines.paths import Path, lookup

if TYPE_CHECKING:
    from execution_options.engines.patch import Patch

_PREFIX = f"{GROUP}/"
AUTHORS_ANNOTATIONS = frozenset(
    {OPTIONS_ANNOTATION, INLINE_ANNOTATION, DISABLE_NOTIFICATIONS_ANNOTATION, GROUP_ANNOTATION}
)
"""The only ``execution.dev/`` metadata that authors may write."""


def is_ours(kind: str, key: str) -> bool:
    """Whether only this operator may write a key of ``labels`` or ``annotations``."""
    return key.startswith(_PREFIX) and not (kind == "annotations" and key in AUTHORS_ANNOTATIONS)


def strip_forged(patch: Patch, places: list[Path]) -> list[tuple[str, str]]:
    """Remove ``execution.dev/`` metadata that only this operator may write, and every trace that somebody sent it.

    The API server's policy (``install/policies.yaml``) then distinguishes the operator's metadata from forged ones.

    Args:
        patch: an execution.
        places: some of its :func:`metadata_places`.

    Returns:
        The removed keys, each after ``labels`` or ``annotations``.
    """
    removed: list[tuple[str, str]] = []
    for place in places:
        for kind in ("labels", "annotations"):
            for key in [key for key in lookup(patch.document, (*place, kind)) or () if is_ours(kind, key)]:
                patch.remove((*place, kind, key))
                disown(patch, (*place, kind, key))
                removed.append((kind, key))
    return removed
