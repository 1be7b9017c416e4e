"""Service accounts: created, bound and removed with the options; others' are never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.kube.client import path_of
from support.waiting import eventually

from .conftest import PLURALS, Api, Process, Team

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

AWS = "arn:aws:iam::123456789012:role/trainer"
GCP = "trainer@project.iam.gserviceaccount.com"
AZURE = "3f9a4c1e-7d52-4b8e-9a30-5b1c6d7e8f90"


def run_as(name: str, role: str | None = None, policy: str | None = "Create") -> dict[str, Any]:
    message = {"k8sServiceAccount": name, "iamRole": role, "serviceAccountPolicy": policy}
    return {"securityContext": {"runAs": {key: value for key, value in message.items() if value is not None}}}


def account(team: Team, name: str) -> dict[str, Any]:
    found = team.api.find(team.path("serviceaccounts", name))
    return {} if found is None else found["metadata"]


@pytest.mark.parametrize(
    ("role", "key"),
    [
        (AWS, "eks.amazonaws.com/role-arn"),
        (GCP, "iam.gke.io/gcp-service-account"),
        (AZURE, "azure.workload.identity/client-id"),
    ],
)
def test_an_account_is_created_and_bound_to_its_cloud(controller: Process, team: Team, role: str, key: str) -> None:
    options = team.options("o", run_as("trainer", role))
    created = eventually(lambda: account(team, "trainer"))
    assert created["annotations"] == {key: role}
    assert created["labels"]["app.kubernetes.io/managed-by"] == "execution-options"
    assert [owner["uid"] for owner in created["ownerReferences"]] == [options["metadata"]["uid"]]
    team.edit("o", {"securityContext": {"runAs": {"iamRole": None}}})
    eventually(lambda: not account(team, "trainer").get("annotations"))
    eventually(lambda: team.condition("o", "Ready").get("status") == "True")


def test_an_account_that_may_not_be_created_is_said_with_the_reason(controller: Process, team: Team) -> None:
    quota = path_of("", "v1", "resourcequotas", team.namespace)
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    team.api.create(quota, {**body, "spec": {"hard": {"count/serviceaccounts": "1"}}})
    eventually(lambda: "used" in team.api.get(f"{quota}/few").get("status", {}))
    team.options("o", run_as("trainer"))
    message = eventually(lambda: team.condition("o", "Ready"))
    assert (message["status"], message["reason"]) == ("False", "ServiceAccountNotWritten")
    assert "exceeded quota: few" in message["message"]
    team.api.delete(f"{quota}/few")
    team.edit("o", {"labels": {"a": "1"}})
    eventually(lambda: team.condition("o", "Ready").get("status") == "True", timeout=90)
    assert account(team, "trainer")


def test_an_account_goes_with_its_options_another_name_or_the_policy(controller: Process, team: Team) -> None:
    team.options("o", run_as("first"))
    eventually(lambda: account(team, "first"))
    team.edit("o", run_as("second"))
    eventually(lambda: account(team, "second") and not account(team, "first"))
    team.edit("o", {"securityContext": {"runAs": {"serviceAccountPolicy": None}}})
    eventually(lambda: not account(team, "second"))
    eventually(lambda: team.condition("o", "Ready")["reason"] == "ServiceAccountMissing")
    team.edit("o", run_as("third"))
    eventually(lambda: account(team, "third"))
    team.api.delete(team.path("executionoptions", "o"))
    # Kubernetes' garbage collector looks for new kinds of owners every 30 seconds.
    eventually(lambda: not account(team, "third"), timeout=90)


def test_an_account_stays_while_a_job_runs_under_it(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}} | run_as("first"))
    team.job("j")
    eventually(lambda: account(team, "first"))
    eventually(lambda: team.pods("j"))
    team.edit("o", run_as("second"))
    eventually(lambda: account(team, "second"))
    generation = team.edit("o", {"labels": {"a": "b"}})
    eventually(lambda: team.status("o")["observedGeneration"] == generation)
    assert account(team, "first")
    team.api.delete(team.path("jobs", "j") + "?propagationPolicy=Background")
    eventually(lambda: not account(team, "first"))


def test_what_is_removed_by_hand_comes_back(controller: Process, team: Team) -> None:
    team.options("o", run_as("trainer"))
    uid = eventually(lambda: account(team, "trainer"))["uid"]
    team.api.delete(team.path("serviceaccounts", "trainer"))
    eventually(lambda: account(team, "trainer").get("uid") not in (None, uid))


def test_an_account_of_somebody_else_is_never_changed(controller: Process, team: Team) -> None:
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "theirs"}}
    before = team.api.create(team.path("serviceaccounts"), body)["metadata"]
    team.options("plain", run_as("theirs"))
    team.options("bound", run_as("theirs", AWS))
    eventually(lambda: team.condition("plain", "Ready").get("reason") == "ServiceAccountNotOurs")
    eventually(lambda: team.condition("bound", "Ready").get("reason") == "ServiceAccountNotOurs")
    assert (team.condition("plain", "Ready")["status"], team.condition("bound", "Ready")["status"]) == ("True", "False")
    team.api.delete(team.path("executionoptions", "bound"))
    team.edit("plain", {"securityContext": None})
    eventually(lambda: team.condition("plain", "Ready")["reason"] == "Applied")
    assert account(team, "theirs") == before


def test_two_options_share_an_account_until_the_last_is_gone(controller: Process, team: Team) -> None:
    team.options("a", run_as("shared", AWS))
    eventually(lambda: account(team, "shared"))
    team.options("b", run_as("shared", AWS))
    eventually(lambda: len(account(team, "shared")["ownerReferences"]) == 2)
    team.options("c", run_as("shared", GCP))
    eventually(lambda: team.condition("c", "Ready").get("reason") == "ServiceAccountConflict")
    team.edit("a", {"securityContext": None})
    eventually(lambda: len(account(team, "shared")["ownerReferences"]) == 1)
    assert account(team, "shared")["annotations"] == {"eks.amazonaws.com/role-arn": AWS}
    team.edit("b", {"securityContext": None})
    # Now it is free for who wanted something else of it.
    eventually(lambda: account(team, "shared").get("annotations") == {"iam.gke.io/gcp-service-account": GCP})
    eventually(lambda: team.condition("c", "Ready")["status"] == "True")


def test_a_role_of_no_known_cloud_is_said(controller: Process, team: Team) -> None:
    team.options("o", run_as("trainer", "root"))
    eventually(lambda: team.condition("o", "Ready").get("reason") == "InvalidIamRole")
    assert not account(team, "trainer")


def test_a_required_account_that_appears_makes_the_options_ready(controller: Process, team: Team) -> None:
    team.options("o", run_as("needed", policy=None))
    eventually(lambda: team.condition("o", "Ready").get("reason") == "ServiceAccountMissing")
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "needed"}}
    team.api.create(team.path("serviceaccounts"), body)
    eventually(lambda: team.condition("o", "Ready")["status"] == "True")


@pytest.fixture
def cluster_options(api: Api, namespace: str) -> Iterator[str]:
    """Cluster options with an account of their own, for the Jobs of one namespace."""
    body = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ClusterExecutionOptions",
        "metadata": {"name": namespace},
        "spec": {"selector": {"names": [f"{namespace}-*"]}} | run_as("wide", AWS),
    }
    api.create(PLURALS["ClusterExecutionOptions"], body)
    yield namespace
    api.delete(f"{PLURALS['ClusterExecutionOptions']}/{namespace}")


def test_cluster_options_create_accounts_where_executions_need_them(
    controller: Process, team: Team, cluster_options: str
) -> None:
    path = f"{PLURALS['ClusterExecutionOptions']}/{cluster_options}"
    eventually(lambda: team.api.get(path).get("status", {}).get("conditions"))
    assert not account(team, "wide")
    team.job(f"{team.namespace}-1")
    eventually(lambda: account(team, "wide").get("annotations") == {"eks.amazonaws.com/role-arn": AWS})
    eventually(lambda: team.pods(f"{team.namespace}-1"))
    assert team.api.find(path_of("", "v1", "serviceaccounts", "default", "wide")) is None
