"""Bare pods, and the pods that never pass the webhook."""

from __future__ import annotations

import re
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from support.team import RefusedError
from support.waiting import eventually
from support.workloads import controlled_by, job, pod

if TYPE_CHECKING:
    from execution_options.local import LocalOperator
    from support.team import Team

pytestmark = pytest.mark.e2e


def calls(webhook: LocalOperator, engine: str) -> int:
    """How many requests for executions of an engine the webhook has answered."""
    with urllib.request.urlopen(webhook.url("webhook", "/metrics")) as response:
        text = response.read().decode()
    found = re.findall(rf'^execution_options_admission_requests_total{{engine="{engine}".*}} (\d+)', text, re.MULTILINE)
    return sum(map(int, found))


def is_execution(made: dict[str, Any]) -> bool:
    return "execution.dev/id" in made["metadata"].get("labels", {})


def test_a_bare_pod_that_refers_to_options_gets_them(team: Team) -> None:
    prefix = {"outputLocationPrefix": "s3://b"}
    team.options("own", {"labels": {"a": "1"}, "rawOutputDataConfig": prefix})
    init = [{"name": "init", "image": "none", "restartPolicy": "Always"}]
    made = team.create(pod("note-", options="own", initContainers=init))
    identifier = made["metadata"]["labels"]["execution.dev/id"]
    assert made["metadata"]["labels"]["a"] == "1"
    for container in (*made["spec"]["initContainers"], *made["spec"]["containers"]):
        assert {"name": "EXECUTION_RAW_OUTPUT_DATA_PREFIX", "value": f"s3://b/{team.namespace}/note-{identifier}/"} in (
            container["env"]
        )
    with pytest.raises(RefusedError, match=r"namespace .* has own, the cluster has"):
        team.create(pod(options="nope"))


def test_bare_pods_are_selected_only_in_namespaces_that_opt_in(team: Team, webhook: LocalOperator) -> None:
    team.options("all", {"selector": {"engines": ["pod"]}, "labels": {"a": "1"}})
    before = calls(webhook, "pod")
    assert not is_execution(team.create(pod("before")))
    assert calls(webhook, "pod") == before
    team.label_namespace(pods="enabled")
    made = eventually(lambda: _selected(team))
    assert made["metadata"]["labels"]["a"] == "1"
    assert not is_execution(team.create(pod("out", options="none")))
    owner = team.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}})
    claimed = controlled_by(pod("claimed"), "v1", "ConfigMap", "owner", owner["metadata"]["uid"])
    # Owners are believed from controllers only.
    assert is_execution(team.create(claimed))


def _selected(team: Team) -> dict[str, Any] | None:
    # The API server follows the namespace's labels by a watch of its own.
    made = team.create(pod("try-"))
    return made if is_execution(made) else None


def test_pods_of_jobs_and_of_nobody_never_pass_the_webhook(team: Team, webhook: LocalOperator) -> None:
    team.options("all", {"selector": {}, "labels": {"a": "1"}})
    before = calls(webhook, "pod")
    jobs = calls(webhook, "job")
    team.create(job("many", spec={"parallelism": 5, "completions": 5}))
    team.create(pod("unrelated"))
    team.request("POST", "/api/v1/namespaces/kube-system/pods?dryRun=All", pod("system", options="all"))
    team.request("POST", "/apis/batch/v1/namespaces/kube-system/jobs?dryRun=All", job("system", options="nope"))
    pods = eventually(lambda: _finished(team))
    assert len(pods) == 5
    assert all(one["metadata"]["labels"]["a"] == "1" for one in pods)
    assert calls(webhook, "pod") == before
    assert calls(webhook, "job") == jobs + 1


def _finished(team: Team) -> list[dict[str, Any]]:
    assert team.get("Job", "many")["status"].get("succeeded") == 5
    return team.listed("Pod", "batch.kubernetes.io/job-name=many")


def tokens(made: dict[str, Any]) -> list[Any]:
    """The volumes with a token, which is of the pod's account whatever that is."""
    projected = [volume for volume in made["spec"].get("volumes", ()) if volume["name"].startswith("kube-api-access")]
    return [
        source for volume in projected for source in volume["projected"]["sources"] if "serviceAccountToken" in source
    ]


def test_another_account_comes_with_its_token_and_its_pull_secrets(team: Team) -> None:
    for name in ("default", "trainer"):
        secrets = {"imagePullSecrets": [{"name": f"pull-{name}"}]}
        if name == "default":
            team.merge("ServiceAccount", name, secrets)
        else:
            team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, **secrets})
    team.options("o", {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})
    plain = eventually(lambda: _with_secrets(team))
    assert plain["spec"]["imagePullSecrets"] == [{"name": "pull-default"}]
    made = team.create(pod("made", options="o"))
    assert (made["spec"]["serviceAccountName"], made["spec"]["serviceAccount"]) == ("trainer", "trainer")
    assert made["spec"]["imagePullSecrets"] == [{"name": "pull-trainer"}]
    assert len(tokens(made)) == 1
    mounts = [mount["name"] for mount in made["spec"]["containers"][0]["volumeMounts"]]
    assert len([name for name in mounts if name.startswith("kube-api-access")]) == 1
    own = team.create(pod("own", options="o", imagePullSecrets=[{"name": "mine"}]))
    assert own["spec"]["imagePullSecrets"] == [{"name": "mine"}]


def _with_secrets(team: Team) -> dict[str, Any] | None:
    # The admission plugin follows service accounts by a watch of its own.
    made = team.create(pod("plain-"))
    return made if "imagePullSecrets" in made["spec"] else None


def test_a_default_fills_in_the_account_only_where_its_author_left_it_open(team: Team) -> None:
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    team.label_namespace(pods="enabled")
    team.options("o", {"selector": {}, "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})
    made = eventually(lambda: _selected(team))
    assert made["spec"]["serviceAccountName"] == "trainer"
    assert team.create(pod("own", serviceAccountName="default"))["spec"]["serviceAccountName"] == "default"
    assert team.create(pod("old", serviceAccount="default"))["spec"]["serviceAccountName"] == "default"
    applied = pod("applied", serviceAccount="default")
    assert team.apply(applied)["spec"]["serviceAccountName"] == "default"
    assert team.apply(pod("open"))["spec"]["serviceAccountName"] == "trainer"


def test_an_account_that_is_being_created_is_waited_for(team: Team) -> None:
    run_as = {"k8sServiceAccount": "fresh", "serviceAccountPolicy": "Create"}
    team.options("o", {"securityContext": {"runAs": run_as}})
    with pytest.raises(RefusedError, match="is being created, try again in a moment"):
        team.create(pod(options="o"))
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "fresh"}})
    assert team.create(pod(options="o"))["spec"]["serviceAccountName"] == "fresh"
