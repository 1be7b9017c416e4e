"""Options as a manifest of the API, and back: nothing is lost on either way, or it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.api.names import API_VERSION, CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError, Problem
from execution_options.api.validation import decoded, manifest_problems
from execution_options.sdk.spec import from_spec, is_foreign, to_spec, untranslatable

if TYPE_CHECKING:
    from execution_options.sdk.fields import OptionsFields

_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAMES = {
    "name": re.compile(rf"(?=.{{1,253}}\Z){_DNS_LABEL}(\.{_DNS_LABEL})*\Z"),
    "namespace": re.compile(rf"(?=.{{1,63}}\Z){_DNS_LABEL}\Z"),
}
_MAPS = {"labels", "annotations", "matchLabels"}
"""Fields whose keys are the user's own."""


def write(
    options: OptionsFields,
    *,
    name: str,
    namespace: str | None,
    selector: Mapping[str, Any] | None,
    namespace_selector: Mapping[str, Any] | None,
    cluster: bool,
) -> dict[str, Any]:
    """See ``Options.to_manifest``."""
    kind = CLUSTER_OPTIONS_KIND if cluster else OPTIONS_KIND
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    problems = [*_misplaced(metadata, namespace_selector, cluster), *untranslatable(options)]
    selectors = {"selector": selector, "namespaceSelector": namespace_selector}
    # Objects of foreign classes cannot become a spec; the rest is still checked.
    spec = _without_nulls(selectors) | ({} if is_foreign(options) else to_spec(options))
    manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    known = {problem.path for problem in problems}
    _refuse([*problems, *(problem for problem in manifest_problems(manifest) if problem.path not in known)])
    # Through JSON, so that the caller gets plain lists and dicts of its own.
    return manifest | {"spec": msgspec.json.decode(msgspec.json.encode(decoded(spec, kind)))}


def read(manifest: Any) -> dict[str, Any]:
    """The arguments of ``Options``; see ``Options.from_manifest``."""
    if not isinstance(manifest, Mapping):
        raise InvalidOptionsError([Problem("", f"a manifest is a dict, not {type(manifest).__name__}")])
    given = _without_nulls(manifest)
    given.pop("metadata", None)  # not part of the options, so it is not checked either
    _refuse(manifest_problems(given))
    spec = given.get("spec", {})
    return from_spec(decoded(spec, given["kind"]), spec)


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise InvalidOptionsError(problems)


def _misplaced(
    metadata: Mapping[str, str], namespace_selector: Mapping[str, Any] | None, cluster: bool
) -> Iterator[Problem]:
    for field, value in metadata.items():
        if not _NAMES[field].match(value):
            yield Problem(
                f"metadata.{field}",
                f'"{value}" is not a {field}: lower-case letters, digits and "-", beginning and ending '
                "with a letter or digit",
            )
    if cluster and "namespace" in metadata:
        yield Problem("metadata.namespace", "options of the whole cluster have none")
    if namespace_selector is not None and not cluster:
        yield Problem("spec.namespaceSelector", "only options of the whole cluster have one: pass cluster=True")


def _without_nulls(value: Any) -> Any:
    """Drop null fields, such as empty ones in YAML, as the API server does."""
    if isinstance(value, Mapping):
        return {
            key: dict(each) if key in _MAPS and isinstance(each, Mapping) else _without_nulls(each)
            for key, each in value.items()
            if each is not None
        }
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
