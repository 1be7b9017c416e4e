"""Translation: effective options become an execution's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from execution_options.api.names import (
    BARE_PREFIX_ENV,
    DISABLE_NOTIFICATIONS_ANNOTATION,
    GROUP,
    GROUP_ANNOTATION,
    ID_LABEL,
    INLINE_ANNOTATION,
    OPTIONS_ANNOTATION,
    PREFIX_ENV,
)
from execution_options.engines import fields
from execution_options.engines.managedfields import disown, is_owned
from execution_options.engines.patch import pointer
from execution_options.engines.paths import Path, filled, locate, lookup
from execution_options.options.levels import Sourced, prevails

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.engines.patch import Patch
    from execution_options.engines.profile import Engine
    from execution_options.options.merge import Effective

MAX_ADDED = 2 * 1024 * 1024
"""Bytes of the patch by which options become labels, annotations and variables of one execution. etcd takes objects of
1.5 MiB, and the API server needs about as long for a patch of this size as for an object that just fits."""
_OPERATION = 100
"""Bytes of a value in a patch besides its name and itself: the words of JSON Patch, and the path."""

_PREFIX = f"{GROUP}/"
AUTHORS_ANNOTATIONS = frozenset(
    {OPTIONS_ANNOTATION, INLINE_ANNOTATION, DISABLE_NOTIFICATIONS_ANNOTATION, GROUP_ANNOTATION}
)
"""The only ``execution.dev/`` metadata that is not this operator's."""


class PatchTooLargeError(ValueError):
    """What options add to an execution is more than the API server should have to write into it."""


def _check_size(
    places: int, metadata: Mapping[str, Sourced[str]], lists: int, envs: Mapping[str, Sourced[str]]
) -> None:
    """Nothing, where what is added to every place and every list of variables fits; nothing of it is made before."""
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
    """This execution's own location: ``<prefix>/<namespace>/<name>-<id>/``; generateName ends with its own dash."""
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
    """Write ``effective`` into the execution that ``patch`` changes.

    A value from below :attr:`Level.AUTHOR` only fills what its author left open, place by place; one
    from above replaces. Nothing that the author wrote is removed, nor reordered among itself.

    Args:
        patch: the execution.
        places: the ``metadata`` that get labels and annotations (:func:`metadata_places`, all or some).
        engine: its engine.
        effective: merged options, without a layer of the author.
        identifier: value of the label ``execution.dev/id``.
        location: storage location of this execution (:func:`output_location`).
        elsewhere: what the author wrote in another object, at the places of the execution where it counts.

    Returns:
        What the author wrote where options had something to say too: JSON Pointer to value, after the option and
        a colon where the place does not tell it (``fields.key``). A variable stands below its container's ``env``
        by name.

    Raises:
        PatchTooLargeError: the patch would be too large; nothing is changed.
    """
    envs, lists = environment(effective, location), list(env_places(engine, patch.document))
    maps = [place for text in engine.env_maps for place in locate(patch.document, text)]
    prevailing = [
        place for place in prevailing_places(engine, patch.document) if _says(patch.document, place, effective)
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


def metadata_places(engine: Engine, execution: dict[str, Any]) -> list[Path]:
    """What holds labels and annotations: the execution's ``metadata`` first, then that of its pods."""
    templates = ((*template, "metadata") for template in engine.templates(execution))
    others = (place for text in engine.pod_metadata for place in locate(execution, text))
    return list(dict.fromkeys([("metadata",), *templates, *others]))


def prevailing_places(engine: Engine, execution: dict[str, Any]) -> list[Path]:
    """What holds labels and annotations that win in the engine over those of :func:`metadata_places`."""
    found = (place for text in engine.prevailing_metadata for place in locate(execution, text))
    return [place for place in dict.fromkeys(found) if isinstance(lookup(execution, place), dict)]


def _says(execution: dict[str, Any], place: Path, effective: Effective) -> bool:
    """Whether a ``metadata`` has a key of which options say something."""
    labels, annotations = (lookup(execution, (*place, kind)) or () for kind in ("labels", "annotations"))
    return any(key in effective.labels for key in labels) or any(key in effective.annotations for key in annotations)


def account_places(engine: Engine, execution: dict[str, Any]) -> Iterator[Path]:
    """The fields with the service account of the execution's pods."""
    yield from ((*template, "spec", "serviceAccountName") for template in engine.templates(execution))
    yield from (place for text in engine.service_account_names for place in locate(execution, text))


def env_places(engine: Engine, execution: dict[str, Any]) -> Iterator[Path]:
    """The lists of environment variables of the execution's pods."""
    for template in engine.templates(execution):
        for kind in ("initContainers", "containers"):
            for index in range(len(lookup(execution, (*template, "spec", kind)) or ())):
                yield (*template, "spec", kind, index, "env")
    yield from (place for text in engine.envs for place in locate(execution, text))


def keep_order(patch: Patch, engine: Engine, old: Mapping[str, Any]) -> None:
    """Leave lists of variables in the order of ``old`` where that is all that differs: templates may be immutable."""
    for place in env_places(engine, patch.document):
        there, stored = lookup(patch.document, place), lookup(old, place)
        if there != stored and there and stored and _sorted(there) == _sorted(stored):
            patch.put(place, stored)


def _sorted(entries: list[Any]) -> list[str]:
    return sorted(map(repr, entries))


def environment(effective: Effective, location: str) -> dict[str, Sourced[str]]:
    """The variables of every container: the storage prefix's, and the options' own, which may refer to these."""
    prefix = effective.output_location_prefix
    if prefix is None:
        return effective.envs
    return {PREFIX_ENV: Sourced(location, prefix.source), BARE_PREFIX_ENV: prefix, **effective.envs}


_DEPRECATED = {"serviceAccountName": "serviceAccount"}
"""In a pod template the API server keeps the second equal to the first."""


class _Work:
    """One translation in progress."""

    def __init__(self, patch: Patch, engine: Engine, effective: Effective, elsewhere: Mapping[str, Any]) -> None:
        self.patch = patch
        self.elsewhere = elsewhere
        self.engine = engine
        self.effective = effective
        self.authored: dict[str, str] = {}
        self._replaced: set[tuple[str | int, str]] = set()

    def _settle(self, at: Path, written: str | None, wanted: Sourced[Any]) -> bool:
        """Whether to write ``wanted`` where the author has ``written`` (``None``: nothing)."""
        if written is not None:
            self.authored[pointer(at)] = written
        return prevails(wanted, written)

    def mapping(self, place: Path, wanted: dict[str, Sourced[str]], ours: dict[str, str]) -> None:
        """Labels or annotations, and those of ``ours`` whatever stands there."""
        there = lookup(self.patch.document, place) or {}
        if self.elsewhere:
            there = {**(lookup(self.elsewhere, place) or {}), **there}
        # Most of what is wanted is not there yet.
        fresh = {
            key: value.value
            for key, value in wanted.items()
            if key not in there or self._settle((*place, key), there[key], value)
        }
        self.patch.update(place, {**fresh, **ours})

    def replace(self, place: Path, wanted: dict[str, Sourced[str]]) -> None:
        """Labels or annotations that win in the engine over others: what is there alone is replaced.

        Of what an author wrote in many such places, the first is remembered: the others would fill the snapshot.
        """
        there = lookup(self.patch.document, place) or {}
        for key in [key for key in there if key in wanted and there[key] != wanted[key].value]:
            if (place[-1], key) not in self._replaced:
                self._replaced.add((place[-1], key))
                self.authored[pointer((*place, key))] = there[key]
            if prevails(wanted[key], there[key]):
                self.patch.put((*place, key), wanted[key].value)

    def account(self, at: Path) -> None:
        """The service account, and the pull secrets that came with the old one."""
        run_as = self.effective.run_as
        if run_as is None or run_as.value.k8s_service_account is UNSET:
            return
        document, spec = self.patch.document, at[:-1]
        # Kinds other than pods have one of the two only; looking for the other does no harm.
        older = [(*spec, _DEPRECATED[str(at[-1])])] if at[-1] in _DEPRECATED else []
        places = [
            at,
            *older,
            *(place for text in self.engine.service_account_fallbacks for place in locate(document, text)),
        ]
        sources = (document, self.elsewhere)
        now = next((name for source in sources for place in places if (name := filled(source, place))), "")
        # The ServiceAccount plugin has written "default" before any webhook sees a pod.
        owned = any(is_owned(document, place) for place in places)
        defaulted = not now or (self.engine.is_pod and now == "default" and not owned)
        if not self._settle(at, None if defaulted else now, Sourced(run_as.value, run_as.source)):
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
            # The plugin copied the old account's; its second run copies the new one's, but only into
            # an empty list.
            self.patch.remove(secrets)

    def environment(self, at: Path, wanted: dict[str, Sourced[str]]) -> None:
        """One list of variables.

        Kubernetes expands ``$(NAME)`` by what stands before it, so what options add comes first.
        """
        there = lookup(self.patch.document, at) or []
        index = {entry.get("name"): place for place, entry in enumerate(there)}
        others = _variables(lookup(self.elsewhere, at)) if self.elsewhere else {}
        fresh = []
        for name, value in wanted.items():
            entry = {"name": name, "value": value.value}
            place = index.get(name)
            if place is None:
                if name not in others or self._settle((*at, name), others[name], value):
                    fresh.append(entry)
                continue
            if self._settle((*at, name), _written(there[place]), value):
                self.patch.put((*at, place), entry)
        self.patch.prepend(at, fresh)


def _written(entry: Mapping[str, Any]) -> str:
    return "(valueFrom)" if "valueFrom" in entry else str(entry.get("value", ""))


def _variables(listed: Any) -> dict[str, str]:
    """Variables by name, of a list or of what is remembered of one."""
    if isinstance(listed, dict):
        return listed
    return {str(entry.get("name")): _written(entry) for entry in listed or ()}


def is_ours(kind: str, key: str) -> bool:
    """Whether only this operator may write a key of ``labels`` or ``annotations``."""
    return key.startswith(_PREFIX) and not (kind == "annotations" and key in AUTHORS_ANNOTATIONS)


def strip_forged(patch: Patch, places: list[Path]) -> list[tuple[str, str]]:
    """Remove ``execution.dev/`` metadata that only this operator may write, and that it was ever sent.

    By that the API server's own policy tells what is written here from what is forged (``install/policies.yaml``).

    Args:
        patch: an execution.
        places: of its :func:`metadata_places`.

    Returns:
        What was removed: ``labels`` or ``annotations``, and the key.
    """
    removed: list[tuple[str, str]] = []
    for place in places:
        for kind in ("labels", "annotations"):
            for key in [key for key in lookup(patch.document, (*place, kind)) or () if is_ours(kind, key)]:
                patch.remove((*place, kind, key))
                disown(patch, (*place, kind, key))
                removed.append((kind, key))
    return removed
