"""Labels by which a client finds what it has created; to replace one would make the client lose it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.api.names import GROUP
from execution_options.engines.phases import holds
from execution_options.options.levels import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.engines.profile import Engine
    from execution_options.options.merge import Effective


def found_by(engine: Engine, execution: dict[str, Any]) -> tuple[str, ...]:
    """Return the keys of an execution's labels, if its client finds it by all of them; otherwise nothing.

    Args:
        engine: of the execution.
        execution: as its author wrote it.
    """
    if not any(holds(term, execution) for term in engine.found_by_labels):
        return ()
    labels = execution.get("metadata", {}).get("labels") or {}
    return tuple(sorted(key for key in labels if not key.startswith(f"{GROUP}/")))


def kept_notes(execution: dict[str, Any], keys: tuple[str, ...], effective: Effective) -> Iterator[str]:
    """Yield a sentence for each label that stays although options would replace it.

    Args:
        execution: as its author wrote it.
        keys: as :func:`found_by` returns them.
        effective: options of the execution, with these labels.
    """
    labels = execution.get("metadata", {}).get("labels") or {}
    for key in keys:
        wanted = effective.labels.get(key)
        if wanted is not None and wanted.value != labels.get(key) and wanted.source.level > Level.AUTHOR:
            yield (
                f"label {key}: stays {labels.get(key)!r}, by which its client finds it, in spite of "
                f"{wanted.value!r} of {wanted.source}"
            )
