"""GitOps tools: their health checks, an example with two environments, and that nobody fights them."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.api.names import API_VERSION
from execution_options.local import LocalOperator
from support import descriptions
from support.gitops import CASES, EXAMPLES, WRITTEN_BY_PEOPLE, manifest, status
from support.logs import scanned
from support.team import RefusedError, Team, options_manifest, working
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

pytestmark = pytest.mark.e2e

Manifest = dict[str, Any]
CHECKS: list[Manifest] = manifest("flux.yaml")["spec"]["healthCheckExprs"]
NEVER = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    with LocalOperator(control_plane.kubeconfig, control_plane.context, controller=("--status-interval", "0.3")) as one:
        yield one


@pytest.fixture
def tolerated(operator: LocalOperator) -> Iterator[list[str]]:
    with scanned(operator) as patterns:
        yield patterns


@pytest.fixture
def team(control_plane: Cluster, namespace: str, tolerated: list[str]) -> Iterator[Team]:
    with working(control_plane, namespace) as team:
        yield team


def test_flux_sees_what_the_status_says(team: Team) -> None:
    """Its expressions are evaluated by the API server, whose CEL is the same, as a policy that says what comes out."""
    assert {check["kind"] for check in CHECKS} == WRITTEN_BY_PEOPLE
    (expressions,) = {(check["failed"], check["current"]) for check in CHECKS}
    failed, current = (re.sub(r"\bstatus\.", "object.status.", expression, count=1) for expression in expressions)
    health = f"({failed}) ? 'Failed' : ({current}) ? 'Current' : 'InProgress'"
    name = f"health-{team.namespace}"
    policy = {
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["execution.dev"],
                        "apiVersions": ["*"],
                        "resources": ["executionoptions/status"],
                        "operations": ["UPDATE"],
                    }
                ]
            },
            "validations": [{"expression": "false", "messageExpression": health}],
        },
    }
    scope = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}}}
    binding = {
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": scope},
    }
    generation = team.options("o", {})["metadata"]["generation"]
    path = f"{team.path('ExecutionOptions', 'o')}/status?dryRun=All"

    def said(case: Manifest) -> str:
        found = copy.deepcopy(status(case, generation))
        for condition in found["conditions"]:
            condition["lastTransitionTime"] = NEVER
        body = {"status": {"conditions": None}}
        body["status"] |= found
        try:
            team.request("PATCH", path, body, "application/merge-patch+json")
        except RefusedError as refusal:
            return str(refusal).rpartition("denied request: ")[2]
        return ""

    version = {"apiVersion": "admissionregistration.k8s.io/v1"}
    try:
        team.kubectl("apply", "-f", "-", manifests=[version | policy, version | binding])
        # Before there is any status, an expression is an error for Flux, which goes on waiting then.
        cases = [case for case in CASES if "flux" in case and case["status"]]
        eventually(lambda: said(cases[0]))
        assert {case["title"]: said(case) for case in cases} == {case["title"]: case["flux"] for case in cases}
    finally:
        team.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


def test_one_workflow_runs_with_the_options_of_its_environment(control_plane: Cluster, team: Team) -> None:
    built: dict[str, list[Manifest]] = {}
    for environment in ("dev", "prod"):
        text = control_plane.run_kubectl(["kustomize", str(EXAMPLES / "workflow" / environment)]).stdout
        built[environment] = list(yaml.safe_load_all(text))
    workflows = [one for documents in built.values() for one in documents if one["kind"] == "CronJob"]
    for workflow in workflows:
        assert workflow["metadata"].pop("namespace").startswith("train-")
    assert workflows[0] == workflows[1]

    for environment, documents in built.items():
        for document in documents:
            document["metadata"].pop("namespace", None)
        team.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", manifests=documents)
        if environment == "prod":
            eventually(lambda: team.get("ServiceAccount", "trainer"), retry_on=(RefusedError,))
        team.kubectl("create", "job", "--from=cronjob/train", environment)
        made = team.get("Job", environment)
        assert made["metadata"]["labels"]["environment"] == environment
        account = made["spec"]["template"]["spec"].get("serviceAccountName")
        assert account == {"dev": None, "prod": "trainer"}[environment]


def test_nobody_fights_who_applies(team: Team, tolerated: list[str]) -> None:
    """What was applied stays what it is: nothing is defaulted, and the operator writes to the status alone."""
    # A right that was granted counts a moment later.
    tolerated += ["engine gitops: CRDNotInstalled", r"/apis/gitops\.example\.com/v1/backups: 403 Forbidden"]
    rule = {"apiGroups": ["gitops.example.com"], "resources": ["backups"], "verbs": ["get", "list", "watch", "patch"]}
    rights = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "gitops", "labels": {"rbac.execution.dev/aggregate-to-controller": "true"}},
        "rules": [rule],
    }
    ours = {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}}
    applied = [
        options_manifest("o", {"selector": {}, "labels": {"a": "1"}, "notifications": [NOTIFICATION]}),
        {
            **options_manifest(team.namespace, {"selector": {}, "maxParallelism": 0, "namespaceSelector": ours}),
            "kind": "ClusterExecutionOptions",
        },
        {
            "apiVersion": API_VERSION,
            "kind": "NotificationChannel",
            "metadata": {"name": "c"},
            "spec": {"webhook": {"url": "https://example.com/hook"}},
        },
        {
            "apiVersion": API_VERSION,
            "kind": "ExecutionEngine",
            "metadata": {"name": "gitops"},
            "spec": descriptions.spec(group="gitops.example.com"),
        },
    ]
    assert {one["kind"] for one in applied} == WRITTEN_BY_PEOPLE
    arguments = ("--server-side", "--field-manager=gitops", "-f", "-")
    try:
        team.kubectl("apply", *arguments, manifests=[rights, *applied])
        generations = {}
        for manifest_ in applied:
            found = eventually(lambda one=manifest_: judged(team, one))
            assert found["spec"] == manifest_["spec"]
            metadata = found["metadata"]
            assert set(metadata) <= {*READ_ONLY, "name", "namespace"}
            assert {f["manager"] for f in metadata["managedFields"] if f.get("subresource") != "status"} == {"gitops"}
            generations[found["kind"]] = metadata["generation"]
        assert set(generations.values()) == {1}
        # The same again is no change, to the API server as to those who compare.
        team.kubectl("apply", *arguments, manifests=applied)
        assert {one["kind"]: judged(team, one)["metadata"]["generation"] for one in applied} == generations
        assert team.kubectl("diff", *arguments, manifests=applied) == ""
    finally:
        team.kubectl("delete", "--ignore-not-found", "-f", "-", manifests=[*applied, rights])


def judged(team: Team, applied: Manifest) -> Manifest:
    """An object, once the operator has said something of it."""
    kind, name = applied["kind"], applied["metadata"]["name"]
    found: Manifest = json.loads(team.kubectl("get", kind, name, "--show-managed-fields", "-o", "json"))
    return found if found.get("status", {}).get("conditions") else {}


READ_ONLY = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
NOTIFICATION: Manifest = {"phases": ["FAILED"], "email": {"recipients": ["a@example.com"]}}
