"""Options written into an execution, or into a launch plan, hold for it without any object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.options.snapshot import decode
from support.team import RefusedError
from support.waiting import eventually
from support.workloads import job, pod

if TYPE_CHECKING:
    from support.team import Team

pytestmark = pytest.mark.e2e

INLINE = "execution.dev/inline"


def inlined(document: dict[str, Any], options: str | dict[str, Any]) -> dict[str, Any]:
    text = options if isinstance(options, str) else json.dumps(options)
    document["metadata"].setdefault("annotations", {})[INLINE] = text
    return document


def cron_job(options: str, name: str = "nightly") -> dict[str, Any]:
    template = {"spec": job()["spec"]}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": template}
    return inlined({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}, options)


def refusal(team: Team, manifest: dict[str, Any]) -> str:
    with pytest.raises(RefusedError) as refused:
        team.create(manifest)
    assert refused.value.status == 422
    return str(refused.value)


def test_an_execution_gets_its_inline_options_above_those_that_it_refers_to(team: Team) -> None:
    team.options("low", {"selector": {}, "labels": {"by": "low", "low": "1"}})
    team.options("named", {"labels": {"by": "named", "named": "1"}})
    team.options("must", {"selector": {}, "mode": "Enforce", "labels": {"must": "1"}})
    wanted = {"labels": {"by": "inline", "must": "0"}, "envs": [{"name": "A", "value": "1"}]}
    made = team.create(inlined(job(options="named"), wanted))
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert {key: labels[key] for key in ("by", "low", "named", "must")} == {
        "by": "inline",
        "low": "1",
        "named": "1",
        "must": "1",
    }
    assert {"name": "A", "value": "1"} in made["spec"]["template"]["spec"]["containers"][0]["env"]
    snapshot = decode(made["metadata"]["annotations"]["execution.dev/snapshot"])
    assert [layer.source.name for layer in snapshot.layers] == ["low", "named", INLINE, "must"]


def test_yaml_as_people_write_it_in_a_manifest(team: Team) -> None:
    text = "maxParallelism: 2\nlabels:\n  team: search\n"
    document = inlined(job(), text)
    document["spec"] |= {"parallelism": 5, "completions": 5}
    made = team.create(document)
    assert made["spec"]["parallelism"] == 2
    assert made["metadata"]["labels"]["team"] == "search"


def test_a_bare_pod_needs_no_opted_in_namespace(team: Team) -> None:
    made = team.create(inlined(pod(), {"labels": {"team": "search"}}))
    assert made["metadata"]["labels"]["team"] == "search"


def test_everything_that_is_wrong_is_said_when_it_is_created(team: Team) -> None:
    message = refusal(team, inlined(job(), {"maxParallelism": -1, "labels": {"a b": "c"}}))
    assert "; labels: label key" in message
    assert "maxParallelism: -1: cannot be negative" in message
    account = {"securityContext": {"runAs": {"k8sServiceAccount": "x", "serviceAccountPolicy": "Create"}}}
    assert "use ExecutionOptions, whose author's rights are checked" in refusal(team, inlined(job(), account))
    assert "mode: inline options are its author's" in refusal(team, inlined(pod(), {"mode": "Enforce"}))


def test_an_account_must_exist_and_limits_of_the_namespace_hold(team: Team) -> None:
    def runs_as(account: str) -> dict[str, Any]:
        return inlined(job(), {"securityContext": {"runAs": {"k8sServiceAccount": account}}})

    assert "service account 'missing' of annotation execution.dev/inline" in refusal(team, runs_as("missing"))
    limits = {"execution.dev/allowed-service-accounts": "trainer", "execution.dev/allowed-output-prefixes": "s3://ours"}
    path = f"/api/v1/namespaces/{team.namespace}"
    team.request("PATCH", path, {"metadata": {"annotations": limits}}, "application/merge-patch+json")
    elsewhere = inlined(job(), {"rawOutputDataConfig": {"outputLocationPrefix": "s3://theirs"}})

    def is_limited() -> bool:
        # The webhook knows namespaces by a watch, which may be behind.
        with pytest.raises(RefusedError) as refused:
            team.create(runs_as("default"))
        return "k8sServiceAccount default is not one that namespace" in str(refused.value)

    eventually(is_limited)
    assert "is not below what namespace" in refusal(team, elsewhere)


def test_a_channel_that_cannot_be_used_is_refused(team: Team) -> None:
    notification = {"phases": ["FAILED"], "webhook": {}, "channelRef": {"name": "none-such"}}
    message = refusal(team, inlined(job(), {"notifications": [notification]}))
    assert "notifications[0].channelRef.name: namespace" in message
    assert "can use no NotificationChannel 'none-such'" in message


def test_a_launch_plan_passes_its_inline_options_on(team: Team) -> None:
    team.create(cron_job("labels: {by: plan, plan: '1'}"))
    plan = team.get("CronJob", "nightly")
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": plan["metadata"]["uid"]}
    started = inlined(job("nightly-1"), "labels: {by: own}")
    started["metadata"]["ownerReferences"] = [owner | {"controller": True}]
    labels = team.create(started)["metadata"]["labels"]
    assert (labels["by"], labels["plan"]) == ("own", "1")


def test_a_launch_plan_with_wrong_inline_options_is_refused_and_may_still_be_labelled(team: Team) -> None:
    message = refusal(team, cron_job("maxParallelism: many"))
    assert "metadata.annotations: execution.dev/inline: maxParallelism: must be a whole number" in message
    team.create(cron_job("maxParallelism: 1"))
    with pytest.raises(RefusedError, match="must be a whole number"):
        team.merge("CronJob", "nightly", {"metadata": {"annotations": {INLINE: "maxParallelism: x"}}})
    team.merge("CronJob", "nightly", {"metadata": {"labels": {"a": "b"}}})


def test_an_edit_that_comes_too_late_is_warned_of(team: Team) -> None:
    manifest = inlined(job("late"), "labels: {by: first}")
    team.kubectl("apply", "-f", "-", manifests=[manifest])
    answer = team.kubectl("apply", "-f", "-", manifests=[inlined(job("late"), "labels: {by: second}")])
    assert f"Warning: metadata.annotations[{INLINE}]: has no effect on an execution that exists" in answer
    assert team.get("Job", "late")["metadata"]["labels"]["by"] == "first"
    assert "Warning" not in team.kubectl("apply", "-f", "-", manifests=[inlined(job("late"), "labels: {by: second}")])
