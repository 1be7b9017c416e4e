"""What an object's author wrote, read from ``metadata.managedFields``.

Defaulting hides it otherwise; at admission these fields were computed before any webhook ran.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#managed-fields
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.engines.paths import lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.engines.patch import Patch
    from execution_options.engines.paths import Path

_MANAGED: Final[Path] = ("metadata", "managedFields")


def is_owned(document: Mapping[str, Any], path: Path) -> bool:
    """Whether any manager owns ``path`` (names of fields only), that is, whether somebody wrote it.

    A document without managed fields is a manifest, not yet touched by any defaulting: all of it was written.
    """
    entries = (document.get("metadata") or {}).get("managedFields")
    if not entries:
        return True
    return any(holds(entry, path) for entry in entries)


def entries_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who wrote what of a document, its status apart."""
    return [entry for entry in lookup(document, _MANAGED) or () if not entry.get("subresource")]


def holds(entry: Mapping[str, Any], path: Path) -> bool:
    """Whether the manager of ``entry`` owns ``path`` (names of fields only)."""
    return _holds(entry.get("fieldsV1") or {}, path)


def disown(patch: Patch, path: Path) -> None:
    """Have no manager own ``path`` (names of fields only), as if nobody had ever sent it."""
    for index, entry in enumerate(lookup(patch.document, _MANAGED) or ()):
        if not holds(entry, path):
            continue
        at: Path = (*_MANAGED, index, "fieldsV1", *(f"f:{part}" for part in path))
        # What is left without members would mean the map as a whole, with what others wrote into it.
        alone = len(lookup(patch.document, at[:-1])) == 1
        patch.remove(at[:-1] if alone else at)


def _holds(fields: Any, path: Path) -> bool:
    for part in path:
        if not isinstance(fields, dict) or f"f:{part}" not in fields:
            return False
        fields = fields[f"f:{part}"]
    return True
