"""Artifact repositories of Argo Workflows, for the storage prefix of options.

A workflow refers to an artifact repository, an entry of a ConfigMap, and Argo stores artifacts there; nothing in a pod
can change that. For each bucket in options, the operator renders one entry from the namespace's default repository,
with that bucket and a key that Argo completes from an annotation of the workflow. Entries do not depend on executions,
so they exist before one needs them.
https://argo-workflows.readthedocs.io/en/latest/artifact-repository-ref/
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from msgspec import Struct

from execution_options.api.names import OUTPUT_KEY_ANNOTATION
from execution_options.engines import fields
from execution_options.engines.paths import filled, locate, lookup
from execution_options.options.levels import prevails

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.engines.patch import Patch
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced

REPOSITORIES: Final = "artifact-repositories"
"""ConfigMap with the repositories of a namespace."""

RENDERED: Final = "execution-options-artifacts"
"""ConfigMap with the rendered repositories of a namespace."""

DEFAULT_ANNOTATION: Final = "workflows.argoproj.io/default-artifact-repository"
"""On :data:`REPOSITORIES`: key of its default entry."""

KEY_FORMAT: Final = f"{{{{workflow.annotations.{OUTPUT_KEY_ANNOTATION}}}}}/{{{{pod.name}}}}"

_KINDS: Final = {"s3": "s3", "gs": "gcs", "oss": "oss"}
"""Scheme of a location → field of a repository."""

_REPLACED: Final = ("bucket", "keyFormat", "keyPrefix")

MOST_BYTES: Final = 8 * 1024
"""Bytes of a repository's text. With every setting of Argo it has 1,500. Any text of this size is parsed in 40 ms."""
MOST_LEVELS: Final = 32
"""Levels of nesting of a repository; Argo's own have four."""
MOST_RENDERED: Final = 1000 * 1000
"""Bytes of all rendered entries together. The API server accepts 1 MiB:
https://kubernetes.io/docs/concepts/configuration/configmap/#motivation"""
WIDTH: Final = 2**20
"""Characters of a line in the rendered YAML: none is broken."""

_LOCATION: Final = re.compile(r"(?P<scheme>[a-z0-9]+)://(?P<bucket>[A-Za-z0-9][-._A-Za-z0-9]*)(?:/(?P<key>.*))?")


class Location(NamedTuple):
    """A place in an object store."""

    scheme: str
    bucket: str
    key: str

    @property
    def entry(self) -> str:
        """Key of its entry in :data:`RENDERED`."""
        return f"{self.scheme}.{self.bucket}"


def location_of(text: str) -> Location | None:
    """Return the location that a URL names; ``None`` if Argo can have no repository there."""
    found = _LOCATION.fullmatch(text)
    if found is None or found["scheme"] not in _KINDS:
        return None
    return Location(found["scheme"], found["bucket"], (found["key"] or "").strip("/"))


def entries(prefixes: Iterable[str]) -> set[str]:
    """Return the keys of the entries that storage prefixes need."""
    return {location.entry for prefix in prefixes if (location := location_of(prefix)) is not None}


class Rendered(NamedTuple):
    """Data of :data:`RENDERED`, and why entries are missing or empty, for people (empty: no problem)."""

    data: dict[str, str]
    problem: str


def render(repositories: Mapping[str, Any], wanted: Iterable[str]) -> Rendered:
    """Render the default repository of :data:`REPOSITORIES` for each wanted entry.

    Scalars stay as they are written. Credentials stay names of secrets. An entry is empty if the repository is of
    another kind or cannot be used.

    Args:
        repositories: the ConfigMap, plain data.
        wanted: keys of entries, most important first.
    """
    default = ((repositories.get("metadata") or {}).get("annotations") or {}).get(DEFAULT_ANNOTATION)
    text = (repositories.get("data") or {}).get(default, "")
    marker = hashlib.sha256(text.encode()).hexdigest()  # nothing in the text can be that
    try:
        repository = _composed(text)
        patterns = {} if repository is None else {kind: _pattern(repository, kind, marker) for kind in _KINDS.values()}
    except _UnusableError as error:
        patterns, problem = {}, f"entry {default} of ConfigMap {REPOSITORIES} {error}"
    else:
        problem = ""
    data: dict[str, str] = {}
    size = 0
    for entry in wanted:
        scheme, _, bucket = entry.partition(".")
        rendered = patterns.get(_KINDS.get(scheme, ""), "").replace(marker, bucket)
        size += len(entry) + len(rendered.encode())
        if size > MOST_RENDERED:
            problem = (
                f"the repositories of all buckets together take more than the {MOST_RENDERED} bytes of a ConfigMap"
            )
            break
        data[entry] = rendered
    return Rendered(data, problem)


class _UnusableError(ValueError):
    """A text is not a usable repository; the message tells people why."""


def _composed(text: str) -> yaml.MappingNode | None:
    """Parse a text into a YAML tree; return ``None`` if it is not a map.

    The length of the text bounds the time that libyaml takes. It resolves no scalars and keeps aliases. As it is
    recursive, the depth is checked first.

    Raises:
        _UnusableError: it is too large, nested too deeply or not YAML.
    """
    if len(text.encode()) > MOST_BYTES:
        raise _UnusableError(f"is larger than {MOST_BYTES} bytes")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MOST_LEVELS:
                raise _UnusableError(f"is nested more than {MOST_LEVELS} levels deep")
        node = yaml.compose(text, Loader=yaml.CBaseLoader)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, _UnusableError):
            raise
        raise _UnusableError(f"is no YAML: {' '.join(str(error).split())}") from None
    return node if isinstance(node, yaml.MappingNode) else None


def _pattern(repository: yaml.MappingNode, kind: str, bucket: str) -> str:
    """Return the text of a repository with another bucket; empty if it is of another kind.

    Args:
        repository: tree of the text.
        kind: field of its settings, for example ``s3``.
        bucket: the other bucket.
    """
    settings = next((value for name, value in reversed(repository.value) if name.value == kind), None)
    if not isinstance(settings, yaml.MappingNode):
        return ""
    kept = [(name, value) for name, value in settings.value if name.value not in _REPLACED]
    added = [
        (_scalar("bucket"), _scalar(bucket, quoted=True)),
        (_scalar("keyFormat"), _scalar(KEY_FORMAT, quoted=True)),
    ]
    ours = yaml.MappingNode(settings.tag, kept + added, flow_style=settings.flow_style)
    others = [(name, value) for name, value in repository.value if name.value != kind]
    changed = yaml.MappingNode(repository.tag, [*others, (_scalar(kind), ours)], flow_style=repository.flow_style)
    text: str = yaml.serialize(changed, Dumper=yaml.CBaseDumper, allow_unicode=True, width=WIDTH)
    return text


def _scalar(value: str, *, quoted: bool = False) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", value, style='"' if quoted else None)


class Repositories(Struct, frozen=True):
    """Artifact repositories of a namespace.

    Attributes:
        has_default: whether it has a default repository of its own.
        entries: rendered entries: key → text.
    """

    has_default: bool = False
    entries: dict[str, str] = {}


class Referred(Struct, frozen=True):
    """Result of :func:`refer`.

    Attributes:
        authored: what the author wrote there, by record key (``fields.key``).
        problem: why the execution does not refer to a rendered entry although the author left that open; else empty.
        passing: whether the problem will be gone soon.
    """

    authored: dict[str, str] = {}
    problem: str = ""
    passing: bool = False


def refer(
    patch: Patch,
    engine: Engine,
    wanted: Sourced[str] | None,
    repositories: Repositories,
    elsewhere: Mapping[str, Any],
) -> Referred:
    """Make an execution refer to the rendered repository of its storage location.

    Args:
        patch: the execution.
        engine: its engine.
        wanted: its own storage location.
        repositories: of its namespace.
        elsewhere: what the author wrote in another object, at the places of the execution that it is used for.
    """
    if wanted is None:
        return Referred()
    authored: dict[str, str] = {}
    for text in engine.artifact_repository_refs:
        for at in locate(patch.document, text):
            now = filled(patch.document, at) or filled(elsewhere, at)
            if now is not None:
                authored[fields.key(fields.LOCATION, at)] = shown(now)
                if not wanted.source.level.overrules_author:
                    continue
            location = location_of(wanted.value)
            problem, passing = _problem(location, wanted.value, repositories)
            if location is None or problem:
                return Referred(authored, problem, passing)
            patch.put(at, {"configMap": RENDERED, "key": location.entry})
            patch.put(("metadata", "annotations", OUTPUT_KEY_ANNOTATION), location.key)
    return Referred(authored)


def keep_reference(patch: Patch, engine: Engine, old: Mapping[str, Any], wanted: Sourced[str] | None) -> None:
    """Restore references to rendered repositories if options decide on them.

    Args:
        patch: the new object.
        engine: its engine.
        old: the stored object.
        wanted: storage prefix of its options.
    """
    if wanted is None:
        return
    for text in engine.artifact_repository_refs:
        for at in locate(patch.document, text):
            if lookup(old, (*at, "configMap")) != RENDERED:
                continue
            stored, now = (filled(version, at) for version in (old, patch.document))
            if now != stored and prevails(wanted, now):
                patch.put(at, stored)


def _problem(location: Location | None, text: str, repositories: Repositories) -> tuple[str, bool]:
    if location is None:
        return f"no artifact repository can be at {text}", False
    if not repositories.has_default:
        return f"the namespace has no artifact repository of its own (ConfigMap {REPOSITORIES})", False
    entry = repositories.entries.get(location.entry)
    if entry is None:
        return f"the artifact repository for {location.scheme}://{location.bucket} is being prepared", True
    if entry:
        return "", False
    return f"the namespace's artifact repository is none for {location.scheme}://, or cannot be used", False


def shown(reference: Any) -> str:
    """Return a reference as it is recorded, for example ``my-repositories/s3``."""
    if not isinstance(reference, dict):
        return str(reference)
    return "/".join(str(reference[name]) for name in ("configMap", "key") if reference.get(name))
