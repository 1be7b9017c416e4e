"""What each token of the operator can do is what SECURITY.md says, verb by verb, as the API server decides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from execution_options import install
from execution_options.install import CONTROLLER, SYSTEM_NAMESPACE, UNINSTALLER, WEBHOOK, rbac, uninstall_rbac
from execution_options.install.rights import ACCOUNTS, COLLECTIONS, CONDITIONAL, HERE
from execution_options.kube.client import path_of
from support.apiserver import ApiServer
from support.tokens import Token
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.team import Team

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SECURITY = Path(__file__).parents[3] / "SECURITY.md"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
BEYOND: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "users"): ("impersonate",),
    ("", "groups"): ("impersonate",),
    ("", "serviceaccounts"): ("impersonate",),
    ("authentication.k8s.io", "uids"): ("impersonate",),
    ("authentication.k8s.io", "userextras/scopes"): ("impersonate",),
    ("rbac.authorization.k8s.io", "roles"): ("bind", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles"): ("bind", "escalate"),
    ("certificates.k8s.io", "signers"): ("approve", "sign", "attest"),
    ("policy", "podsecuritypolicies"): ("use",),
}
"""Verbs that are no requests, and on what they are granted."""
EVERYBODY = {
    ("create", "authentication.k8s.io", "selfsubjectreviews"),
    ("create", "authorization.k8s.io", "selfsubjectaccessreviews"),
    ("create", "authorization.k8s.io", "selfsubjectrulesreviews"),
    *((verb, "certificates.k8s.io", "clustertrustbundles") for verb in ("get", "list", "watch")),
}
"""By Kubernetes' roles system:basic-user and, of all service accounts, system:cluster-trust-bundle-discovery."""


class Asked(NamedTuple):
    verb: str
    group: str
    resource: str
    namespace: str
    name: str


class Row(NamedTuple):
    """One row of the table, for one account."""

    here: bool
    resources: frozenset[tuple[str, str]]
    names: frozenset[str]
    verbs: frozenset[str]

    def covers(self, asked: Asked) -> bool:
        return (
            asked.verb in self.verbs
            and (asked.group, asked.resource) in self.resources
            and (not self.here or asked.namespace == SYSTEM_NAMESPACE)
            and (not self.names or asked.name in self.names)
        )


def table() -> dict[str, list[Row]]:
    """The rows of SECURITY.md, by account."""
    text = SECURITY.read_text().partition("<!-- rights: begin -->")[2].partition("<!-- rights: end -->")[0]
    rows: dict[str, list[Row]] = {account: [] for account in ACCOUNTS}
    for line in text.strip().splitlines()[2:]:
        where, what, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        kinds, _, names = what.partition(" named ")
        resources = frozenset(one for kind in kinds.split(", ") for one in resources_of(kind))
        for account, cell in zip(ACCOUNTS, cells, strict=True):
            verbs = frozenset(filter(None, cell.removesuffix(CONDITIONAL).split(", ")))
            rows[account].append(Row(where == HERE, resources, frozenset(re.findall(r"`(.+?)`", names)), verbs))
    return rows


def resources_of(kind: str) -> list[tuple[str, str]]:
    """Group and plural of what the table calls a kind."""
    words = {word: collection for collection, word in COLLECTIONS.items()}
    if kind in words:
        rules = install.expanded({"resources": [words[kind]], "verbs": []})
        return [(rule["apiGroups"][0], one) for rule in rules for one in rule["resources"]]
    resource, _, group = kind.strip("`").partition(".")
    return [(group, resource)]


@pytest.fixture(scope="module")
def uninstaller(control_plane: Cluster, webhook: object) -> Iterator[None]:
    """Its account and rights are there, as while Helm uninstalls."""
    manifests = "\n---\n".join(json.dumps(one) for one in uninstall_rbac())
    control_plane.run_kubectl(["apply", "-f", "-"], input=manifests)
    yield
    control_plane.run_kubectl(["delete", "-f", "-"], input=manifests)


@pytest.fixture(scope="module")
def served(control_plane: Cluster, webhook: object) -> dict[tuple[str, str], bool]:
    """Group and plural of all that the API server serves, parts included: whether it is namespaced."""
    server = ApiServer(control_plane)
    groups = server.get("/apis")["groups"]
    versions = {"": "/api/v1"} | {one["name"]: f"/apis/{one['preferredVersion']['groupVersion']}" for one in groups}
    found = {
        (group, one["name"]): one["namespaced"]
        for group, path in versions.items()
        for one in server.get(path)["resources"]
    }
    server.close()
    return found


def matrix(served: dict[tuple[str, str], bool], namespace: str, rows: list[Row]) -> Iterator[Asked]:
    """Every verb on every resource: in a namespace of others, in the operator's, by each name that matters."""
    names: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        for kind in row.resources:
            names.setdefault(kind, set()).update(row.names)
    for kind in {**served, **dict.fromkeys(names, True), **dict.fromkeys(BEYOND, True)}:
        for verb in (*VERBS, *BEYOND.get(kind, ())):
            for where in (namespace, SYSTEM_NAMESPACE) if served.get(kind, True) else ("",):
                for name in ("", *sorted(names.get(kind, ()))):
                    yield Asked(verb, *kind, where, name)


def may(token: Token, asked: Asked) -> bool:
    """Whether the API server's authorizer lets the token do it."""
    resource, _, part = asked.resource.partition("/")
    attributes = {**asked._asdict(), "resource": resource, "subresource": part}
    review = {"spec": {"resourceAttributes": attributes}}
    answer = token.ask("POST", path_of("authorization.k8s.io", "v1", "selfsubjectaccessreviews"), review)
    assert answer.status == 201, answer.message
    return bool(answer.body["status"]["allowed"])


@pytest.mark.parametrize("account", ACCOUNTS)
def test_each_token_can_do_what_the_table_says_and_nothing_else(
    control_plane: Cluster, uninstaller: None, namespace: str, served: dict[tuple[str, str], bool], account: str
) -> None:
    rows = table()[account]
    tried = list(matrix(served, namespace, rows))
    assert len(tried) > 1000
    with Token(control_plane, SYSTEM_NAMESPACE, account) as token:
        # The API server follows roles by a watch.
        granted = next(one for one in tried if any(row.covers(one) for row in rows))
        eventually(lambda: may(token, granted))
        allowed = {one for one in tried if may(token, one)}
    own = {one for one in allowed if one[:3] not in EVERYBODY}
    assert own == {one for one in tried if any(row.covers(one) for row in rows)}


def test_every_row_of_the_table_is_tried(served: dict[tuple[str, str], bool]) -> None:
    every = [row for rows in table().values() for row in rows if row.verbs]
    tried = {(one.group, one.resource) for one in matrix(served, "team", every)}
    assert all(row.resources <= tried for row in every)
    assert {("", "secrets"), ("", "serviceaccounts/token"), ("", "pods/exec"), ("", "nodes/proxy")} <= tried
    assert {verb for row in every for verb in row.verbs} <= set(VERBS)


def test_requests_by_which_a_token_would_become_another_are_refused(
    control_plane: Cluster, uninstaller: None, team: Team
) -> None:
    api = "rbac.authorization.k8s.io"
    secrets, pods = path_of("", "v1", "secrets", SYSTEM_NAMESPACE), path_of("", "v1", "pods", SYSTEM_NAMESPACE)
    account = path_of("", "v1", "serviceaccounts", SYSTEM_NAMESPACE, CONTROLLER, "token")
    admin = {
        "metadata": {"name": "own"},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": api, "kind": "Group", "name": "system:serviceaccounts"}],
    }
    policy = path_of(
        "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "", "execution-options-secrets"
    )
    rule = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    requests: list[tuple[str, str, Any, dict[str, str]]] = [
        ("GET", secrets, None, {}),
        ("GET", path_of("", "v1", "secrets", team.namespace), None, {}),
        ("POST", account, {"spec": {}}, {}),
        ("POST", pods, {"metadata": {"name": "p"}, "spec": {"containers": []}}, {}),
        ("POST", f"{pods}/any/exec?command=true&stdout=1", None, {}),
        ("POST", path_of(api, "v1", "clusterrolebindings"), admin, {}),
        ("POST", path_of(api, "v1", "rolebindings", SYSTEM_NAMESPACE), admin, {}),
        ("PATCH", path_of(api, "v1", "clusterroles", "", WEBHOOK), {"rules": rule}, {}),
        ("DELETE", policy, None, {}),
        (
            "GET",
            "/api/v1/namespaces",
            None,
            {"Impersonate-User": "system:admin", "Impersonate-Group": "system:masters"},
        ),
        ("GET", "/logs/", None, {}),
        ("GET", "/metrics", None, {}),
    ]
    for name in (WEBHOOK, CONTROLLER, UNINSTALLER):
        with Token(control_plane, SYSTEM_NAMESPACE, name) as token:
            for method, path, body, headers in requests:
                separator = "&" if "?" in path else "?"
                sent = path if method == "GET" or "exec" in path else f"{path}{separator}dryRun=All"
                assert token.ask(method, sent, body, headers).status == 403, (name, method, path)


def test_the_table_speaks_of_all_accounts() -> None:
    accounts = [one["metadata"]["name"] for one in [*rbac(), *uninstall_rbac()] if one["kind"] == "ServiceAccount"]
    assert sorted(accounts) == sorted(ACCOUNTS)
