"""Fields that an object's author wrote, by ``metadata.managedFields``.

Without these, defaults look the same. At admission they have been computed before any webhook runs.
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
    """Whether any manager owns a field, that is, whether somebody wrote it.

    A document without managed fields is a manifest without defaults: all of it was written.

    Args:
        document: the object.
        path: names of fields only.
    """
    entries = (document.get("metadata") or {}).get("managedFields")
    if not entries:
        return True
    return any(holds(entry, path) for entry in entries)


def entries_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of all managers, except for those of subresources such as the status."""
    return [entry for entry in lookup(document, _MANAGED) or () if not entry.get("subresource")]


def holds(entry: Mapping[str, Any], path: Path) -> bool:
    """Whether the manager of an entry owns a field.

    Args:
        entry: of ``managedFields``.
        path: names of fields only.
    """
    return _holds(entry.get("fieldsV1") or {}, path)


def disown(patch: Patch, path: Path) -> None:
    """Remove a field from all managers, as if nobody had ever sent it.

    Args:
        patch: the object.
        path: names of fields only.
    """
    for index, entry in enumerate(lookup(patch.document, _MANAGED) or ()):
        if not holds(entry, path):
            continue
        at: Path = (*_MANAGED, index, "fieldsV1", *(f"f:{part}" for part in path))
        # An entry without members would own the whole map, with the keys of others.
        alone = len(lookup(patch.document, at[:-1])) == 1
        patch.remove(at[:-1] if alone else at)


def _holds(fields: Any, path: Path) -> bool:
    for part in path:
        if not isinstance(fields, dict) or f"f:{part}" not in fields:
            return False
        fields = fields[f"f:{part}"]
    return True
