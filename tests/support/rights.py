"""Rights that the operator is granted, and those that it used in a session, as the API server's audit log tells."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import yaml

from execution_options import install
from execution_options.install import CONTROLLER, SYSTEM_NAMESPACE, WEBHOOK
from execution_options.kube.access import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def audit_policy(namespace: str, *accounts: str) -> str:
    """By which an audit log tells what these accounts of a namespace ask for."""
    users = [f"system:serviceaccount:{namespace}:{name}" for name in accounts]
    return yaml.safe_dump(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": users}, {"level": "None"}],
        }
    )


AUDIT_POLICY = audit_policy(SYSTEM_NAMESPACE, CONTROLLER, WEBHOOK)


class Use(NamedTuple):
    """A request of the operator's to the API server."""

    account: str
    verb: str
    group: str
    resource: str


class Used(NamedTuple):
    """What an audit log tells."""

    allowed: dict[Use, str]
    """What the operator did, and the role by which it might."""
    forbidden: set[Use]
    """What it was refused for want of a right."""


class Right(NamedTuple):
    """A verb that an account is granted on some resources, of which one has to be used: engines are all alike."""

    account: str
    verb: str
    resources: frozenset[tuple[str, str]]

    def __str__(self) -> str:
        some = sorted("/".join(filter(None, one)) for one in self.resources)
        return f"{self.account}: {self.verb} {', '.join(some)}"

    def covers(self, use: Use) -> bool:
        """Whether this is the right that a request needs."""
        return (use.account, use.verb) == (self.account, self.verb) and (use.group, use.resource) in self.resources


def granted(file: str = "rbac.yaml") -> list[Right]:
    """The rights of the operator's accounts, by the file that grants them."""
    documents = install.documents(file)
    roles = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    return [
        Right(subject["name"], verb, resources)
        for binding in documents
        for subject in binding.get("subjects", ())
        # Those that others aggregate into a role are theirs to grant.
        for rule in roles.get((binding["roleRef"]["kind"], binding["roleRef"]["name"]), {}).get("rules", ())
        for verb in rule["verbs"]
        for resources in _resources(rule)
    ]


def _resources(rule: install.Manifest) -> Iterator[frozenset[tuple[str, str]]]:
    expanded = [
        (group, resource)
        for one in install.expanded(rule)
        for group in one["apiGroups"]
        for resource in one["resources"]
    ]
    if "apiGroups" in rule:
        yield from (frozenset([one]) for one in expanded)
    else:
        yield frozenset(expanded)


def roles() -> set[str]:
    """Names of the operator's own roles."""
    return {one["metadata"]["name"] for one in install.documents("rbac.yaml") if one["kind"] in ("ClusterRole", "Role")}


def used(audit_logs: Iterable[Path]) -> Used:
    """What the operator did, as some audit logs tell."""
    found = Used({}, set())
    for line in (line for log in audit_logs for line in log.read_text().splitlines()):
        event = json.loads(line)
        reference = event.get("objectRef")
        if reference is None or "resource" not in reference:
            continue  # versions, health, discovery: for everybody
        if event.get("userAgent") != USER_AGENT:
            continue  # a test with its token
        resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
        account = event["user"]["username"].rpartition(":")[2]
        use = Use(account, event["verb"], reference.get("apiGroup", ""), resource)
        annotations = event.get("annotations", {})
        if annotations.get("authorization.k8s.io/decision") == "forbid":
            found.forbidden.add(use)
        else:
            role = re.search(r'of (?:Cluster)?Role "([^"]+)"', annotations.get("authorization.k8s.io/reason", ""))
            found.allowed[use] = role[1] if role else "?"
    return found
