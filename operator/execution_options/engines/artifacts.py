"""Artifact repositories of Argo Workflows, for the storage prefix of options.

Argo stores artifacts where the repository says that a workflow refers to, an entry of a ConfigMap; nothing in a pod can
change that. For each bucket that options name, one entry is rendered from the namespace's default repository: with that
bucket, and with a key that Argo itself completes from an annotation of the workflow. So entries do not depend on
executions, and are there before one needs them.
https://argo-workflows.readthedocs.io/en/latest/artifact-repository-ref/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from msgspec import Struct

from execution_options.api.names import OUTPUT_KEY_ANNOTATION
from execution_options.engines import fields
from execution_options.engines.paths import locate, lookup
from execution_options.options.levels import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.engines.patch import Patch
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced

REPOSITORIES: Final = "artifact-repositories"
"""The ConfigMap in which a namespace has its repositories."""

RENDERED: Final = "execution-options-artifacts"
"""The ConfigMap of ours beside it."""

DEFAULT_ANNOTATION: Final = "workflows.argoproj.io/default-artifact-repository"
"""On :data:`REPOSITORIES`: which of its entries is the default."""

KEY_FORMAT: Final = f"{{{{workflow.annotations.{OUTPUT_KEY_ANNOTATION}}}}}/{{{{pod.name}}}}"

_KINDS: Final = {"s3": "s3", "gs": "gcs", "oss": "oss"}
"""Scheme of a location → what a repository of that kind calls it."""

_LOCATION: Final = re.compile(r"(?P<scheme>[a-z0-9]+)://(?P<bucket>[A-Za-z0-9][-._A-Za-z0-9]*)(?:/(?P<key>.*))?")


class Location(NamedTuple):
    """A place in an object store."""

    scheme: str
    bucket: str
    key: str

    @property
    def entry(self) -> str:
        """Which entry of :data:`RENDERED` it needs."""
        return f"{self.scheme}.{self.bucket}"


def location_of(text: str) -> Location | None:
    """The place that a URL names; ``None`` where no repository of Argo's could be there."""
    found = _LOCATION.fullmatch(text)
    if found is None or found["scheme"] not in _KINDS:
        return None
    return Location(found["scheme"], found["bucket"], (found["key"] or "").strip("/"))


def entries(prefixes: Iterable[str]) -> set[str]:
    """The entries that storage prefixes need."""
    return {location.entry for prefix in prefixes if (location := location_of(prefix)) is not None}


def render(repositories: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, str]:
    """The data of :data:`RENDERED`: the default repository of :data:`REPOSITORIES` for each of the ``wanted`` entries.

    Credentials stay what they are there: names of secrets. An entry is empty where the repository is of another kind.
    """
    default = ((repositories.get("metadata") or {}).get("annotations") or {}).get(DEFAULT_ANNOTATION)
    text = (repositories.get("data") or {}).get(default, "")
    try:
        repository = yaml.safe_load(text)
    except yaml.YAMLError:
        repository = None
    return {entry: _entry(repository if isinstance(repository, dict) else {}, entry) for entry in sorted(wanted)}


def _entry(repository: Mapping[str, Any], entry: str) -> str:
    scheme, _, bucket = entry.partition(".")
    kind = _KINDS.get(scheme, "")
    settings = repository.get(kind)
    if not isinstance(settings, dict):
        return ""
    kept = {name: value for name, value in settings.items() if name != "keyPrefix"}
    changed = {**repository, kind: {**kept, "bucket": bucket, "keyFormat": KEY_FORMAT}}
    return yaml.safe_dump(changed, sort_keys=False)


class Repositories(Struct, frozen=True):
    """What a namespace has: whether a repository of its own, and which entries of ours, each with its text."""

    has_default: bool = False
    entries: dict[str, str] = {}


class Referred(Struct, frozen=True):
    """What became of the references of an execution."""

    authored: dict[str, str] = {}
    problem: str = ""
    """Why none of ours stands there, though the author left it open."""
    passing: bool = False
    """Whether the problem will have gone in a moment."""


def refer(
    patch: Patch,
    engine: Engine,
    wanted: Sourced[str] | None,
    repositories: Repositories,
    elsewhere: Mapping[str, Any],
) -> Referred:
    """Have an execution refer to the repository for ``wanted``, its own storage location."""
    if wanted is None:
        return Referred()
    authored: dict[str, str] = {}
    for text in engine.artifact_repository_refs:
        for at in locate(patch.document, text):
            written = lookup(patch.document, at) or lookup(elsewhere, at)
            if written:
                authored[fields.key(fields.LOCATION, at)] = shown(written)
                if wanted.source.level < Level.AUTHOR:
                    continue
            location = location_of(wanted.value)
            problem, passing = _problem(location, wanted.value, repositories)
            if location is None or problem:
                return Referred(authored, problem, passing)
            patch.put(at, {"configMap": RENDERED, "key": location.entry})
            patch.put(("metadata", "annotations", OUTPUT_KEY_ANNOTATION), location.key)
    return Referred(authored)


def keep_reference(patch: Patch, engine: Engine, old: Mapping[str, Any], wanted: Sourced[str] | None) -> None:
    """Put back the references of ours that ``old`` has, where ``wanted``, its storage prefix, decides on them."""
    if wanted is None:
        return
    for text in engine.artifact_repository_refs:
        for at in locate(patch.document, text):
            if lookup(old, (*at, "configMap")) != RENDERED:
                continue
            stored, written = (lookup(version, at) for version in (old, patch.document))
            if written != stored and (not written or wanted.source.level > Level.AUTHOR):
                patch.put(at, stored)


def _problem(location: Location | None, text: str, repositories: Repositories) -> tuple[str, bool]:
    if location is None:
        return f"no artifact repository can be at {text}", False
    if not repositories.has_default:
        return f"the namespace has no artifact repository of its own (ConfigMap {REPOSITORIES})", False
    entry = repositories.entries.get(location.entry)
    if entry is None:
        return f"the artifact repository for {location.scheme}://{location.bucket} is being prepared", True
    return ("", False) if entry else (f"the namespace's artifact repository is none for {location.scheme}://", False)


def shown(written: Any) -> str:
    """What an author wrote in a field, as it is recorded."""
    if not isinstance(written, dict):
        return str(written)
    return "/".join(str(written[name]) for name in ("configMap", "key") if written.get(name))
