"""The API server with the installed policies, the users of a namespace, and what each may do there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.kube.client import path_of
from support.logs import scanned
from support.team import Team, working
from support.users import Users
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator

Manifest = dict[str, Any]
Grant = "Callable[..., str]"


@pytest.fixture(autouse=True)
def tolerated(webhook: LocalOperator) -> Iterator[list[str]]:
    """Patterns of warnings that a test provokes; any other fails it."""
    with scanned(webhook) as patterns:
        yield patterns


@pytest.fixture(scope="module")
def users(control_plane: Cluster) -> Iterator[Users]:
    """Requests in the name of others."""
    users = Users(control_plane)
    yield users
    users.close()


@pytest.fixture
def team(control_plane: Cluster, namespace: str, tolerated: list[str]) -> Iterator[Team]:
    """A namespace of one's own."""
    with working(control_plane, namespace) as team:
        yield team


@pytest.fixture
def grant(team: Team, users: Users) -> Iterator[Callable[..., str]]:
    """Gives a user rights in the namespace, or with ``everywhere`` in all: ``grant("ann", "create pods", …)``."""
    granted: list[str] = []
    outside: list[str] = []

    def give(user: str, *rights: str, everywhere: bool = False) -> str:
        rules = []
        for right in rights:
            verbs, _, what = right.partition(" ")
            resource, _, group = what.partition(".")
            resource, _, name = resource.partition(":")
            rule = {"apiGroups": [group], "resources": [resource], "verbs": verbs.split(",")}
            rules.append(rule | ({"resourceNames": [name]} if name else {}))
        name = f"{team.namespace}-{len(granted)}"
        granted.append(name)
        kind = "ClusterRole" if everywhere else "Role"
        api, namespace = "rbac.authorization.k8s.io", "" if everywhere else team.namespace
        role = {"metadata": {"name": name}, "rules": rules}
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": api, "kind": kind, "name": name},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        }
        for plural, document in ((f"{kind.lower()}s", role), (f"{kind.lower()}bindings", binding)):
            users.may("", "POST", path_of(api, "v1", plural, namespace), document)
            if everywhere:
                outside.append(path_of(api, "v1", plural, "", name))
        # The API server follows roles by a watch of its own; the last right is known when all are.
        verb, rule = rules[-1]["verbs"][-1], rules[-1]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "resourceAttributes": {
                    "namespace": "" if everywhere else team.namespace,
                    "verb": verb,
                    "group": rule["apiGroups"][0],
                    "resource": rule["resources"][0].partition("/")[0],
                    "subresource": rule["resources"][0].partition("/")[2],
                    "name": rule.get("resourceNames", [""])[0],
                },
            },
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        eventually(lambda: users.may("", "POST", path, review)["status"]["allowed"])
        return user

    yield give
    for path in outside:
        users.may("", "DELETE", path)
