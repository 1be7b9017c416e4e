"""Translation of effective options into an execution's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from execution_options.api.names import (
    BARE_PREFIX_ENV,
    ID_LABEL,
    PREFIX_ENV,
)
from execution_options.engines import fields
from execution_options.engines.managedfields import is_owned
from execution_options.engines.patch import pointer
from execution_options.engines.paths import Path, filled, locate, lookup
from execution_options.engines.places import account_places, env_places, prevailing_places
from execution_options.options.levels import Sourced, prevails

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.engines.patch import Patch
    from execution_options.engines.profile import Engine
    from execution_options.options.merge import Effective

MAX_ADDED = 2 * 1024 * 1024
"""Bytes of labels, annotations and variables in the patch of one execution. etcd accepts objects of 1.5 MiB, and the
API server needs about as long for a patch of this size as for an object that just fits."""
_OPERATION = 100
"""Bytes of an operation of JSON Patch besides the name and the value that it sets."""


class PatchTooLargeError(ValueError):
    """Options would add more to an execution than :data:`MAX_ADDED`."""


def _check_size(
    places: int, metadata: Mapping[str, Sourced[str]], lists: int, envs: Mapping[str, Sourced[str]]
) -> None:
    """Check the size of a patch before any of it is built.

    Args:
        places: number of ``metadata`` that get labels and annotations.
        metadata: labels and annotations.
        lists: number of lists and maps that get variables.
        envs: variables.

    Raises:
        PatchTooLargeError: the patch would be too large.
    """
    parts = [
        (count * sum(_OPERATION + _size(name, value.value) for name, value in values.items()), count, values, what)
        for count, values, what in (
            (places, metadata, "labels and annotations in each of {} pod templates"),
            (lists, envs, "variables in each of {} containers"),
        )
    ]
    size = sum(part[0] for part in parts)
    if size > MAX_ADDED:
        most, count, values, what = max(parts, key=lambda part: part[0])
        raise PatchTooLargeError(
            f"options would add {size} bytes to this execution, and at most {MAX_ADDED} fit: {most} of them are "
            f"{len(values)} {what.format(count)}; give these options fewer of them, or the execution fewer places, or "
            f"have a selector leave it out"
        )


def _size(name: str, value: str) -> int:
    return len(msgspec.json.encode((name, value)))


def output_location(prefix: str, namespace: str, name: str, generate_name: str, identifier: str) -> str:
    """Return the storage location of an execution: ``<prefix>/<namespace>/<name>-<id>/``.

    Args:
        prefix: storage prefix of the options.
        namespace: of the execution.
        name: of the execution; empty if the API server will generate it.
        generate_name: ``generateName``, which ends with its own dash.
        identifier: value of the label ``execution.dev/id``.
    """
    stem = f"{name}-" if name else generate_name
    return f"{prefix.rstrip('/')}/{namespace}/{stem}{identifier}/"


def translate(
    patch: Patch,
    places: list[Path],
    engine: Engine,
    effective: Effective,
    *,
    identifier: str,
    location: str,
    elsewhere: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Write effective options into an execution.

    Place by place, a value from below :attr:`Level.AUTHOR` fills in what the author left open; one from above replaces.
    Nothing that the author wrote is removed or reordered.

    Args:
        patch: the execution.
        places: the ``metadata`` that get labels and annotations (:func:`metadata_places`, all or some).
        engine: its engine.
        effective: merged options, without a layer of the author.
        identifier: value of the label ``execution.dev/id``.
        location: storage location of this execution (:func:`output_location`).
        elsewhere: what the author wrote in another object, at the places of the execution that it is used for.

    Returns:
        What the author wrote where options have a value, too: JSON Pointer → value. The option and a colon precede the
        pointer if it does not show the option (``fields.key``). The pointer of a variable is that of its container's
        ``env`` with its name.

    Raises:
        PatchTooLargeError: the patch would be too large; nothing is changed.
    """
    envs, lists = environment(effective, location), list(env_places(engine, patch.document))
    maps = [place for text in engine.env_maps for place in locate(patch.document, text)]
    prevailing = [
        place for place in prevailing_places(engine, patch.document) if _overlaps(patch.document, place, effective)
    ]
    count = len(places) + len(prevailing)
    _check_size(count, {**effective.labels, **effective.annotations}, len(lists) + len(maps), envs)
    work = _Work(patch, engine, effective, elsewhere or {})
    for place in prevailing:
        work.replace((*place, "labels"), effective.labels)
        work.replace((*place, "annotations"), effective.annotations)
    for place in places:
        work.mapping((*place, "labels"), effective.labels, {ID_LABEL: identifier})
        work.mapping((*place, "annotations"), effective.annotations, {})
    for place in account_places(engine, patch.document):
        work.account(place)
    for place in lists:
        work.environment(place, envs)
    work.authored |= fields.put_variables(patch, engine, envs)
    work.authored |= fields.put_location(patch, engine, envs.get(PREFIX_ENV))
    work.authored |= fields.lower_parallelism(patch, engine, effective.max_parallelism, work.elsewhere)
    work.authored |= fields.bypass_cache(patch, engine, effective.overwrite_cache)
    return work.authored


def _overlaps(execution: dict[str, Any], place: Path, effective: Effective) -> bool:
    """Whether a ``metadata`` has a key that options set, too."""
    labels, annotations = (lookup(execution, (*place, kind)) or () for kind in ("labels", "annotations"))
    return any(key in effective.labels for key in labels) or any(key in effective.annotations for key in annotations)


def keep_order(patch: Patch, engine: Engine, old: Mapping[str, Any]) -> None:
    """Restore the order of lists of variables that have only been reordered: templates may be immutable.

    Args:
        patch: the new object.
        engine: its engine.
        old: the stored object.
    """
    for place in env_places(engine, patch.document):
        there, stored = lookup(patch.document, place), lookup(old, place)
        if there != stored and there and stored and _sorted(there) == _sorted(stored):
            patch.put(place, stored)


def _sorted(entries: list[Any]) -> list[str]:
    return sorted(map(repr, entries))


def environment(effective: Effective, location: str) -> dict[str, Sourced[str]]:
    """Return the variables of every container: those of the storage prefix first, because the others may refer to them.

    Args:
        effective: merged options.
        location: storage location of the execution.
    """
    prefix = effective.output_location_prefix
    if prefix is None:
        return effective.envs
    return {PREFIX_ENV: Sourced(location, prefix.source), BARE_PREFIX_ENV: prefix, **effective.envs}


_DEPRECATED = {"serviceAccountName": "serviceAccount"}
"""Field of a pod template → deprecated field that the API server keeps equal to it."""


class _Work:
    """One translation in progress."""

    def __init__(self, patch: Patch, engine: Engine, effective: Effective, elsewhere: Mapping[str, Any]) -> None:
        self.patch = patch
        self.elsewhere = elsewhere
        self.engine = engine
        self.effective = effective
        self.authored: dict[str, str] = {}
        self._replaced: set[tuple[str | int, str]] = set()

    def _is_open(self, at: Path, written: str | None, wanted: Sourced[Any]) -> bool:
        """Record what the author has written (``None``: nothing); return whether to write ``wanted`` instead."""
        if written is not None:
            self.authored[pointer(at)] = written
        return prevails(wanted, written)

    def mapping(self, place: Path, wanted: dict[str, Sourced[str]], ours: dict[str, str]) -> None:
        """Write labels or annotations, and those of ``ours`` in any case."""
        there = lookup(self.patch.document, place) or {}
        if self.elsewhere:
            there = {**(lookup(self.elsewhere, place) or {}), **there}
        # Most keys are absent.
        fresh = {
            key: value.value
            for key, value in wanted.items()
            if key not in there or self._is_open((*place, key), there[key], value)
        }
        self.patch.update(place, {**fresh, **ours})

    def replace(self, place: Path, wanted: dict[str, Sourced[str]]) -> None:
        """Replace labels or annotations that win in the engine over others; add none.

        If an author wrote a key in many such places, only the first is recorded: all would fill the snapshot.
        """
        there = lookup(self.patch.document, place) or {}
        for key in [key for key in there if key in wanted and there[key] != wanted[key].value]:
            if (place[-1], key) not in self._replaced:
                self._replaced.add((place[-1], key))
                self.authored[pointer((*place, key))] = there[key]
            if prevails(wanted[key], there[key]):
                self.patch.put((*place, key), wanted[key].value)

    def account(self, at: Path) -> None:
        """Write the service account, and remove the pull secrets that came with the old one."""
        run_as = self.effective.run_as
        if run_as is None or run_as.value.k8s_service_account is UNSET:
            return
        document, spec = self.patch.document, at[:-1]
        # Only pods have both fields; the search for the other does no harm elsewhere.
        older = [(*spec, _DEPRECATED[str(at[-1])])] if at[-1] in _DEPRECATED else []
        places = [
            at,
            *older,
            *(place for text in self.engine.service_account_fallbacks for place in locate(document, text)),
        ]
        sources = (document, self.elsewhere)
        now = next((name for source in sources for place in places if (name := filled(source, place))), "")
        # The ServiceAccount plugin writes "default" before any webhook sees a pod.
        owned = any(is_owned(document, place) for place in places)
        defaulted = not now or (self.engine.is_pod and now == "default" and not owned)
        if not self._is_open(at, None if defaulted else now, Sourced(run_as.value, run_as.source)):
            return
        account = run_as.value.k8s_service_account or ("default" if self.engine.is_pod else "")
        if account == now:
            return
        for place in places:
            if not account:
                self.patch.remove(place)
            elif place == at or lookup(document, place) is not None:
                self.patch.put(place, account)
        secrets = (*spec, "imagePullSecrets")
        if self.engine.is_pod and not is_owned(document, secrets):
            # The plugin copied those of the old account. Its second run copies those of the new one, but only into an
            # empty list.
            self.patch.remove(secrets)

    def environment(self, at: Path, wanted: dict[str, Sourced[str]]) -> None:
        """Write one list of variables.

        Kubernetes expands ``$(NAME)`` with earlier variables of the list, so the added ones come first.
        """
        there = lookup(self.patch.document, at) or []
        index = {entry.get("name"): place for place, entry in enumerate(there)}
        others = _variables(lookup(self.elsewhere, at)) if self.elsewhere else {}
        fresh = []
        for name, value in wanted.items():
            entry = {"name": name, "value": value.value}
            place = index.get(name)
            if place is None:
                if name not in others or self._is_open((*at, name), others[name], value):
                    fresh.append(entry)
                continue
            if self._is_open((*at, name), _written(there[place]), value):
                self.patch.put((*at, place), entry)
        self.patch.prepend(at, fresh)


def _written(entry: Mapping[str, Any]) -> str:
    return "(valueFrom)" if "valueFrom" in entry else str(entry.get("value", ""))


def _variables(listed: Any) -> dict[str, str]:
    """Return variables by name, from a list or from the record of one."""
    if isinstance(listed, dict):
        return listed
    return {str(entry.get("name")): _written(entry) for entry in listed or ()}
