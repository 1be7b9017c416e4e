"""What people may do who have Kubernetes' own roles in a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GROUP
from support.waiting import eventually

if TYPE_CHECKING:
    from support.team import Team
    from support.users import Users

pytestmark = pytest.mark.e2e

READ = {"get", "list", "watch"}
WRITE = {"create", "update", "patch", "delete", "deletecollection"}
ROLES: dict[str, dict[str, set[str]]] = {
    "view": {"executionoptions": READ, "notificationchannels": READ, "notificationdeliveries": READ},
    "edit": {
        "executionoptions": READ | WRITE,
        "notificationchannels": READ | WRITE,
        "notificationdeliveries": READ | {"patch"},
    },
    "admin": {
        "executionoptions": READ | WRITE,
        "notificationchannels": READ | WRITE,
        "notificationdeliveries": READ | {"patch", "delete", "deletecollection"},
    },
}
CLUSTER_KINDS = ("clusterexecutionoptions", "executionengines")
STATUS = ("executionoptions/status", "notificationchannels/status", "notificationdeliveries/status")


@pytest.mark.parametrize("role", ROLES)
def test_kubernetes_own_roles_reach_our_kinds(team: Team, users: Users, role: str) -> None:
    user = f"{role}er-of-{team.namespace}"
    api = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
    }
    team.request("POST", f"/apis/{api}/v1/namespaces/{team.namespace}/rolebindings", binding)

    def allowed(resource: str) -> set[str]:
        name, _, subresource = resource.partition("/")
        where = "" if name in CLUSTER_KINDS else team.namespace
        what: dict[str, Any] = {"group": GROUP, "resource": name, "subresource": subresource, "namespace": where}
        found = set()
        for verb in READ | WRITE:
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": user, "resourceAttributes": {**what, "verb": verb}},
            }
            if users.may("", "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]:
                found.add(verb)
        return found

    def settled() -> bool:
        # The controller manager aggregates roles, and the API server follows them by a watch.
        assert {resource: allowed(resource) for resource in ROLES[role]} == ROLES[role]
        return True

    eventually(settled)
    assert {resource: allowed(resource) for resource in CLUSTER_KINDS} == {key: set() for key in CLUSTER_KINDS}
    assert not any(allowed(resource) & WRITE for resource in STATUS)


def test_who_edits_a_namespace_can_write_options_and_channels(team: Team) -> None:
    """What the policies ask for, Kubernetes' role edit has."""
    user = f"editor-of-{team.namespace}"
    team.kubectl("create", "rolebinding", "edit", "--clusterrole=edit", f"--user={user}")
    account = {"k8sServiceAccount": "trainer", "serviceAccountPolicy": "Create"}
    manifests = [
        {
            "apiVersion": "execution.dev/v1beta1",
            "kind": "ExecutionOptions",
            "metadata": {"name": "o"},
            "spec": {"securityContext": {"runAs": account}},
        },
        {
            "apiVersion": "execution.dev/v1beta1",
            "kind": "NotificationChannel",
            "metadata": {"name": "c"},
            "spec": {"slack": {"botTokenSecretRef": {"name": "slack", "key": "token"}}},
        },
    ]

    def written() -> bool:
        message = team.kubectl("apply", "-f", "-", f"--as={user}", manifests=manifests, check=False)
        assert "executionoptions.execution.dev/o" in message, message
        assert "notificationchannel.execution.dev/c" in message, message
        assert "Error" not in message, message
        return True

    eventually(written)
