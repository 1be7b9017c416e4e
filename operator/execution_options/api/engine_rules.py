"""The rules on engine descriptions: CEL, Python and message of each side by side."""

from __future__ import annotations

from typing import Any, Final

from execution_options.api import names, rules
from execution_options.api.rule import holds, literal, text
from execution_options.api.syntax import DNS_LABEL, DNS_SUBDOMAIN, SUBDOMAIN_SYNTAX

_NAME: Final = "[A-Za-z_][-A-Za-z0-9_]*"
_BRACKETS: Final = rf'\[\*\]|\[{_NAME}=[^\]]+\]|\["[^"]+"\]'
PATH: Final = rf"(?:{_NAME}|{_BRACKETS})(?:\.{_NAME}|{_BRACKETS})*"
"""Paths that ``engines.paths`` can parse, except for the empty one."""

_PATH_SYNTAX: Final = (
    "is no path: write names of fields with dots between them, [*] for every item of a list or value of a map, "
    '[type=Done] for the items whose field has that value, and ["a.b/c"] for a field whose name has other '
    "characters, for example spec.steps[*].template"
)

FORBIDDEN_GROUPS: Final = (
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    names.GROUP,
    "rbac.authorization.k8s.io",
)
"""Groups whose kinds cannot be executions or start them: the cluster and this operator depend on their objects."""


def _only_pod(value: dict[str, Any]) -> bool:
    written = (value.get("version"), value.get("kind"), value.get("plural"))
    return value.get("group") != "" or written == ("v1", "Pod", "pods")


LABEL_KEY = rules.SELECTOR_KEY
DEFINITION_LABELS = rules.JOINED_KEYS
SOME_PATH = text("path", PATH, _PATH_SYNTAX)
TEMPLATE_PATH = text("template-path", f"(?:{PATH})?", f"{_PATH_SYNTAX}; empty where the execution is itself a pod")
GROUP = text(
    "api-group",
    f"(?:{DNS_SUBDOMAIN})?",
    f"is not an API group: {SUBDOMAIN_SYNTAX}, for example batch; without its version",
)
GROUP_ALLOWED = holds(
    "api-group-allowed",
    "!(self in [" + ", ".join(literal(group) for group in FORBIDDEN_GROUPS) + "])",
    lambda value: value not in FORBIDDEN_GROUPS,
    f"is not open to engines: {', '.join(FORBIDDEN_GROUPS)} hold what the cluster and this operator stand on; "
    f"describe a kind whose objects run to an end",
)
GROUP_GIVEN = holds(
    "api-group-given",
    "self != ''",
    lambda value: value != "",
    "must not be empty: no kind of the core group starts executions",
)
ONLY_PODS_OF_THE_CORE = holds(
    "only-pods-of-the-core",
    "self.group != '' || (self.version == 'v1' && self.kind == 'Pod' && self.plural == 'pods')",
    _only_pod,
    "of the core group only pods can be executions: version v1, kind Pod, plural pods; for any other kind name its "
    "group, for example batch",
    field="group",
)
VERSION = text(
    "api-version",
    DNS_LABEL,
    "is not a version of an API: lower-case letters, digits and '-', for example v1; without its group",
)
KIND = text(
    "api-kind",
    "[A-Za-z][A-Za-z0-9]*",
    "is not a kind: letters and digits, beginning with a letter, for example CronJob",
)
PLURAL = text(
    "api-plural",
    DNS_LABEL,
    "is not the plural of a kind, as `kubectl api-resources` lists it: lower-case letters, digits and '-', for example "
    "cronjobs",
)
SOME_RULE = holds(
    "some-phase-rule",
    "self.size() > 0",
    lambda value: len(value) > 0,
    "at least one rule is needed, without which no end of an execution would ever be seen",
)
ENGINE_OBJECT_NAME = holds(
    "engine-object-name",
    f"self.metadata.name.size() <= 63 && self.metadata.name.matches(r'^(?:{DNS_LABEL})$')",
    lambda value: rules.ENGINE_NAME.broken(value.get("metadata", {}).get("name", "")) is None,
    "the name is what options select the engine by: lower-case letters, digits and '-', at most 63 characters, "
    "for example argo-workflow",
    field="metadata",
)
POD_ENGINE_NAME = holds(
    "pod-engine-name",
    f"(self.metadata.name == {literal(names.POD_ENGINE)}) == (self.spec.group == '')",
    lambda value: (value.get("metadata", {}).get("name") == names.POD_ENGINE) == (value["spec"].get("group") == ""),
    f"the engine of bare pods, and no other, is called {names.POD_ENGINE}: rename this one, or describe pods",
    field="metadata",
)
