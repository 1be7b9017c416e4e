"""Executions get their options when they are created, or are refused for a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.options.snapshot import decode
from support.team import RefusedError, Team, options_manifest
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from execution_options.local import LocalOperator

pytestmark = pytest.mark.e2e

ROUNDS = 20


def env(manifest: dict[str, Any]) -> dict[str, str]:
    spec = manifest["spec"].get("template", manifest)["spec"]
    return {entry["name"]: entry.get("value", "") for entry in spec["containers"][0].get("env", [])}


def is_untouched(manifest: dict[str, Any]) -> bool:
    return "execution.dev/id" not in manifest["metadata"].get("labels", {})


def refusal(team: Team, manifest: dict[str, Any]) -> str:
    with pytest.raises(RefusedError) as refused:
        team.create(manifest)
    assert refused.value.status == 422
    return str(refused.value)


def test_options_applied_together_with_an_execution_reach_it(team: Team) -> None:
    for number in range(ROUNDS):
        selecting = options_manifest(
            f"o{number}", {"selector": {"names": [f"j{number}"]}, "labels": {"n": str(number)}}
        )
        by_name = options_manifest(f"r{number}", {"labels": {"r": str(number)}})
        team.kubectl("apply", "-f", "-", manifests=[selecting, by_name, job(f"j{number}", options=f"r{number}")])
    for number in range(ROUNDS):
        labels = team.get("Job", f"j{number}")["spec"]["template"]["metadata"]["labels"]
        assert (labels["n"], labels["r"]) == (str(number), str(number))


def test_an_edit_and_a_deletion_just_before_count(team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"n": "first"}})
    for number in range(ROUNDS):
        team.merge("ExecutionOptions", "o", {"spec": {"labels": {"n": str(number)}}})
        assert team.create(job(f"j{number}"))["metadata"]["labels"]["n"] == str(number)
    team.request("DELETE", team.path("ExecutionOptions", "o"))
    assert is_untouched(team.create(job("after")))


def test_cluster_options_and_namespaces_that_were_made_just_before_count(team: Team) -> None:
    for number in range(ROUNDS):
        # Both are known by a watch that may be behind.
        name = f"{team.namespace}-{number}"
        cluster = options_manifest(
            name, {"selector": {}, "labels": {"n": str(number)}, "namespaceSelector": {"matchLabels": {"made": name}}}
        )
        team.request(
            "POST", "/apis/execution.dev/v1beta1/clusterexecutionoptions", cluster | {"kind": "ClusterExecutionOptions"}
        )
        namespace = {"metadata": {"name": name, "labels": {"made": name}}}
        team.request("POST", "/api/v1/namespaces", namespace)
        try:
            made = team.request("POST", f"/apis/batch/v1/namespaces/{name}/jobs", job("j"))
            assert made["metadata"]["labels"]["n"] == str(number)
        finally:
            team.request("DELETE", f"/api/v1/namespaces/{name}")
            team.request("DELETE", f"/apis/execution.dev/v1beta1/clusterexecutionoptions/{name}")


def test_an_identity_that_others_hold_is_refused_and_a_misspelt_reference_told(team: Team) -> None:
    roles = {name: f"arn:aws:iam::123456789012:role/{name}" for name in ("first", "second")}
    run_as = {"k8sServiceAccount": "trainer", "serviceAccountPolicy": "Create"}
    made = {
        name: team.options(name, {"securityContext": {"runAs": {**run_as, "iamRole": role}}})
        for name, role in roles.items()
    }
    owner = {key: made["first"][key] for key in ("apiVersion", "kind")}
    owner |= {key: made["first"]["metadata"][key] for key in ("name", "uid")}
    metadata = {
        "name": "trainer",
        "labels": {"app.kubernetes.io/managed-by": "execution-options"},
        "annotations": {"eks.amazonaws.com/role-arn": roles["first"]},
        "ownerReferences": [owner],
    }
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    message = refusal(team, job("a", options="second"))
    assert f"which bind it to '{roles['first']}', not to '{roles['second']}'" in message
    assert team.create(job("b", options="first"))["spec"]["template"]["spec"]["serviceAccountName"] == "trainer"
    applied = team.kubectl("apply", "-f", "-", manifests=[job("c", annotations={"execution.dev/option": "first"})])
    assert "Warning: annotation execution.dev/option is unknown and was removed: write the annotation" in applied


def test_a_generated_name_is_good_enough_for_everything(team: Team) -> None:
    prefix = {"outputLocationPrefix": "s3://bucket/base"}
    team.options("o", {"selector": {"names": ["train-*"]}, "rawOutputDataConfig": prefix, "labels": {"a": "1"}})
    team.options("other", {"selector": {"names": ["train-?????"]}, "labels": {"b": "1"}})
    first, second = (team.create(job("train-")) for _ in range(2))
    ids = {one["metadata"]["labels"]["execution.dev/id"] for one in (first, second)}
    assert len(ids) == 2
    for made in (first, second):
        identifier = made["metadata"]["labels"]["execution.dev/id"]
        location = f"s3://bucket/base/{team.namespace}/train-{identifier}/"
        assert env(made) == {
            "EXECUTION_RAW_OUTPUT_DATA_PREFIX": location,
            "EXECUTION_OUTPUT_LOCATION_PREFIX": "s3://bucket/base",
        }
        assert made["metadata"]["name"].startswith("train-")
        assert made["spec"]["template"]["metadata"]["labels"]["execution.dev/id"] == identifier
        # A pattern is matched against generateName: the rest of the name does not exist yet.
        assert "b" not in made["metadata"]["labels"]
        snapshot = decode(made["metadata"]["annotations"]["execution.dev/snapshot"])
        assert (snapshot.id, snapshot.location) == (identifier, location)
        assert [layer.source.name for layer in snapshot.layers] == ["o"]
    (pod,) = eventually(lambda: team.listed("Pod", f"batch.kubernetes.io/job-name={first['metadata']['name']}"))
    assert env(pod) == env(first)
    assert pod["metadata"]["labels"]["a"] == "1"


def test_a_reference_to_nothing_is_refused_with_what_there_is(team: Team) -> None:
    team.options("nightly", {"labels": {"a": "1"}})
    there = team.cluster_options("gpu", {"labels": {"a": "1"}})
    assert f"namespace {team.namespace} has nightly, the cluster has cluster/{there}" in refusal(
        team, job(options="nope")
    )
    assert "is not a name of options" in refusal(team, job(options="A,B"))
    message = team.kubectl("create", "-f", "-", manifests=[job("x-", options="nope")], check=False)
    assert "denied the request: execution.dev/options refers to ExecutionOptions 'nope'" in message
    assert team.listed("Job") == []


def test_a_missing_account_is_refused_unless_it_is_to_be_created(team: Team) -> None:
    team.options("needs", {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})
    creates = {"k8sServiceAccount": "trainer", "serviceAccountPolicy": "Create"}
    team.options("creates", {"securityContext": {"runAs": creates}})
    team.options(
        "default", {"selector": {"names": ["own"]}, "securityContext": {"runAs": {"k8sServiceAccount": "gone"}}}
    )
    assert "service account 'trainer' of ExecutionOptions needs (referenced by the execution) does not exist" in (
        refusal(team, job(options="needs"))
    )
    made = team.create(job("created", options="creates"))
    assert made["spec"]["template"]["spec"]["serviceAccountName"] == "trainer"
    # An author's own account beats a default, so nobody asks for the default's.
    own = team.create(job("own", serviceAccountName="default"))
    assert own["spec"]["template"]["spec"]["serviceAccountName"] == "default"
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    assert team.create(job(options="needs"))["spec"]["template"]["spec"]["serviceAccountName"] == "trainer"


def test_what_was_overridden_is_said_when_it_is_created(team: Team) -> None:
    team.options("own", {"labels": {"a": "options"}})
    team.create(job(labels={"a": "author"}, options="own"))
    (warning,) = team.warnings
    assert "label a: ExecutionOptions own (referenced by the execution) made it 'options'" in warning


def test_an_execution_without_options_stays_byte_for_byte(team: Team, webhook: LocalOperator) -> None:
    team.options("elsewhere", {"selector": {"names": ["other"]}, "labels": {"a": "1"}})
    document = job("plain", labels={"mine": "1"}, template={"labels": {"mine": "1"}})
    served, own = team.create(document), _created_past_the_webhook(team, document)
    for made in (served, own):
        for field in ("uid", "creationTimestamp", "namespace", "resourceVersion", "managedFields"):
            made["metadata"].pop(field, None)
    text = json.dumps(served).replace(
        served["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], ""
    )
    other = json.dumps(own).replace(own["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], "")
    assert text == other


def _created_past_the_webhook(team: Team, document: dict[str, Any]) -> dict[str, Any]:
    return team.request("POST", "/apis/batch/v1/namespaces/kube-system/jobs?dryRun=All", document)


def test_a_dry_run_shows_the_options_and_leaves_nothing(team: Team) -> None:
    team.options("own", {"labels": {"a": "1"}})
    before = team.listed("ExecutionOptions")
    made = team.create(job("dry", options="own"), dry_run=True)
    assert made["metadata"]["labels"]["a"] == "1"
    assert team.listed("Job") == []
    assert team.listed("ExecutionOptions") == before


def test_options_too_large_for_one_execution_are_refused(team: Team) -> None:
    for number in range(3):
        annotations = {f"example.com/{number}-{place}": "v" * 3900 for place in range(2)}
        team.options(f"big{number}", {"annotations": annotations})
    assert "at most 16384 fit; the largest is ExecutionOptions big" in refusal(team, job(options="big0,big1,big2"))


def cron(options: str | None = None) -> dict[str, Any]:
    annotations = {} if options is None else {"execution.dev/options": options}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "annotations": annotations},
        "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job()["spec"]}},
    }


def test_a_launch_plan_passes_its_options_on_and_the_jobs_own_win(team: Team) -> None:
    team.options("plan", {"labels": {"a": "plan", "b": "plan"}})
    team.options("own", {"labels": {"a": "own"}})
    team.options("launched", {"selector": {"launchedBy": {"kind": "CronJob", "name": "night*"}}, "labels": {"c": "1"}})
    made = team.create(cron("plan"))
    team.kubectl("create", "job", "--from=cronjob/nightly", "one")
    labels = team.get("Job", "one")["metadata"]["labels"]
    assert (labels["a"], labels["b"], labels["c"]) == ("plan", "plan", "1")
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": made["metadata"]["uid"]}
    own = job("two", options="own")
    own["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    labels = team.create(own)["metadata"]["labels"]
    assert (labels["a"], labels["b"]) == ("own", "plan")
    opted_out = job("three", options="none")
    opted_out["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    assert is_untouched(team.create(opted_out))
    team.merge("CronJob", "nightly", {"metadata": {"annotations": {"execution.dev/options": "nope"}}})
    message = team.kubectl("create", "job", "--from=cronjob/nightly", "four", check=False)
    assert "(perhaps on CronJob nightly) refers to ExecutionOptions 'nope'" in message
