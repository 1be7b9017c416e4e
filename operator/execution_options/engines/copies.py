"""A new execution that is a copy of one with options (``argo resubmit``): what options gave that one is taken out.

Otherwise it would count as its author's, and the copy would store its data where the first execution did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.engines import fields
from execution_options.engines.artifacts import RENDERED
from execution_options.engines.patch import pointer
from execution_options.engines.paths import locate, lookup
from execution_options.engines.places import account_places, env_places, metadata_places, prevailing_places
from execution_options.engines.translate import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.engines.patch import Patch
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine
    from execution_options.options.merge import Effective
    from execution_options.options.snapshot import Snapshot


def take_out(patch: Patch, engine: Engine, snapshot: Snapshot, frozen: Effective, now: Effective) -> bool:
    """Remove what options gave an execution, and put back what its author wrote where that is known.

    A value that is not what options gave stays: somebody has changed it.

    Args:
        patch: the copy.
        engine: its engine.
        snapshot: of the execution that it is a copy of, as the copy carries it.
        frozen: the options of that execution when it was created.
        now: its options in the end.

    Returns:
        Whether anything was changed.
    """
    before = len(patch.operations)
    _metadata(patch, engine, snapshot.authored, frozen, now)
    variables = {name: value.value for name, value in environment(frozen, snapshot.location).items()}
    for place in list(env_places(engine, patch.document)):
        _variables(patch, place, snapshot.authored, variables)
    for place in [place for text in engine.env_maps for place in locate(patch.document, text)]:
        for name, value in variables.items():
            _restore(patch, (*place, name), value, snapshot.authored.get(fields.key(fields.ENV, (*place, name))))
    # A bare pod has the account that the API server chose, and must have one.
    for at in [] if engine.is_pod or not snapshot.account else list(account_places(engine, patch.document)):
        for field in (at, (*at[:-1], "serviceAccount")) if at[-1] == "serviceAccountName" else (at,):
            _restore(patch, field, snapshot.account, snapshot.authored.get(pointer(at)))
    _fields(patch, engine, snapshot, frozen)
    return len(patch.operations) > before


def _restore(patch: Patch, at: Path, given: Any, written: Any) -> None:
    """Put back what an author wrote (``None``: nothing) where what options gave stands."""
    if lookup(patch.document, at) != given:
        return
    if written is None:
        patch.remove(at)
    else:
        patch.put(at, written)


def _metadata(patch: Patch, engine: Engine, authored: Mapping[str, str], frozen: Effective, now: Effective) -> None:
    for place in [*metadata_places(engine, patch.document), *prevailing_places(engine, patch.document)]:
        for kind in ("labels", "annotations"):
            for values in (getattr(frozen, kind), getattr(now, kind)):
                for key, value in values.items():
                    at = (*place, kind, key)
                    _restore(patch, at, value.value, authored.get(pointer(at)))


def _variables(patch: Patch, place: Path, authored: Mapping[str, str], given: Mapping[str, str]) -> None:
    there = lookup(patch.document, place)
    if not isinstance(there, list):
        return
    kept = []
    for entry in there:
        name = entry.get("name")
        if name not in given or entry.get("value", "") != given[name] or "valueFrom" in entry:
            kept.append(entry)
        elif (written := authored.get(pointer((*place, name)))) is not None:
            kept.append({"name": name, "value": written})
    if kept != there:
        if kept:
            patch.put(place, kept)
        else:
            patch.remove(place)


def _fields(patch: Patch, engine: Engine, snapshot: Snapshot, frozen: Effective) -> None:
    authored = snapshot.authored
    for text in engine.output_locations if snapshot.location else ():
        for at in list(locate(patch.document, text)):
            _restore(patch, at, snapshot.location, authored.get(fields.key(fields.LOCATION, at)))
    for text in engine.artifact_repository_refs:
        for at in list(locate(patch.document, text)):
            if lookup(patch.document, (*at, "configMap")) == RENDERED:
                patch.remove(at)
    cap = frozen.max_parallelism
    for limit in engine.parallelism if cap is not None and cap.value else ():
        for at in list(locate(patch.document, limit.path)):
            written = authored.get(fields.key(fields.PARALLELISM, at))
            _restore(patch, at, None if cap is None else cap.value, None if written is None else int(written))
    if frozen.overwrite_cache is not None and frozen.overwrite_cache.value:
        for at in fields.cache_places(engine, patch.document):
            given = next(field.value for field in engine.cache if at in set(locate(patch.document, field.path)))
            _restore(patch, at, given if isinstance(given, str) else True, authored.get(fields.key(fields.CACHE, at)))
