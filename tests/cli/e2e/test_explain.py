"""``explain``: each effective value with the object it came from, and why the rest did not apply."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from execution_options.install import controller_user
from support.waiting import eventually
from support.workloads import job, pod

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.commands import Answer
    from support.team import Team

pytestmark = pytest.mark.e2e


def rows(text: str) -> dict[str, tuple[str, ...]]:
    """Lines of the tables by their first column."""
    cells = (re.split(r" {3,}", line) for line in text.splitlines())
    return {first: tuple(rest) for first, *rest in cells if rest}


def test_every_value_has_its_source(team: Team, cli: Callable[..., Answer]) -> None:
    notification = {"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}
    high = team.cluster_options("cost", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
    prefix = {"outputLocationPrefix": "s3://b"}
    team.options("low", {"selector": {}, "labels": {"team": "low", "low": "1"}, "rawOutputDataConfig": prefix})
    spec = {"labels": {"team": "own"}, "maxParallelism": 0, "overwriteCache": False, "notifications": [notification]}
    team.options("own", {**spec, "envs": [{"name": "A", "value": "own"}]})
    team.options("gpu", {"selector": {"engines": ["ray-job"]}, "labels": {"gpu": "1"}})
    team.options("named", {"labels": {"x": "1"}})
    labels = {"team": "author", "low": "author", "cost": "author"}
    made = team.create(job(labels=labels, template={"labels": labels}, options="own"))
    team.options("later", {"selector": {}})
    answer = cli("explain", "job/train")
    assert (answer.code, answer.err) == (0, "")
    identifier = made["metadata"]["labels"]["execution.dev/id"]
    assert f"Its options were frozen under the id {identifier}." in answer.out
    assert f"It stores its data below s3://b/{team.namespace}/train-{identifier}/" in answer.out
    shown = rows(answer.out)
    own = "ExecutionOptions own (referenced by the execution)"
    assert shown["labels[cost]"] == ("platform", f"ClusterExecutionOptions {high} (cluster enforced)")
    assert shown["labels[team]"] == ("own", own)
    assert shown["labels[low]"] == ("author", "Job train (written by the author)")
    assert shown["rawOutputDataConfig.outputLocationPrefix"] == (
        "s3://b",
        "ExecutionOptions low (namespace default)",
    )
    assert shown["maxParallelism"] == ("0", own)
    assert shown["overwriteCache"] == ("false", own)
    assert shown["envs[A]"] == ("own", own)
    assert shown["notifications[0]"] == ("FAILED → email a@b.c", own)
    assert f"labels[team]: 'author' of Job train (written by the author) lost to {own}" in answer.out
    assert shown["ExecutionOptions gpu"] == ("selector.engines: 'job' is none of ray-job",)
    assert shown["ExecutionOptions named"] == ("it has no selector, and nothing refers to it",)
    (later,) = shown["ExecutionOptions later"]
    assert "created" in later


def test_a_launched_job_and_one_without_options(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("plan", {"labels": {"a": "1"}})
    team.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly", "annotations": {"execution.dev/options": "plan"}},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job()["spec"]}},
        }
    )
    team.kubectl("create", "job", "--from=cronjob/nightly", "launched")
    launched = cli("explain", "jobs/launched")
    assert rows(launched.out)["labels[a]"] == ("1", "ExecutionOptions plan (referenced by the launch plan)")
    team.create(job("without"))
    without = cli("explain", "Job/without")
    assert without.code == 0
    assert "It has no options: none applied when it was created, or the webhook was not called." in without.out
    assert rows(without.out)["ExecutionOptions plan"] == ("it has no selector, and nothing refers to it",)


def test_pods_that_are_no_executions(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("all", {"selector": {}})
    team.create(job())
    (part,) = eventually(lambda: team.listed("Pod", "batch.kubernetes.io/job-name=train"))
    answer = cli("explain", f"pod/{part['metadata']['name']}")
    assert answer.code == 1
    assert answer.err == f"Error: Pod {part['metadata']['name']} is part of Job train: ask for that\n"
    team.create(pod("bare"))
    bare = cli("explain", "pod/bare")
    assert bare.code == 0
    assert "It has no options: a bare pod gets options only where it has the annotation" in bare.out


def test_a_missed_one_that_was_repaired(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("all", {"selector": {}, "labels": {"a": "1"}})
    team.create(job())
    change = '{"metadata": {"annotations": {"execution.dev/missed": "2026-01-01T00:00:00Z"}}}'
    # Only the operator itself may write that.
    team.kubectl("annotate", "job/train", "execution.dev/missed=forged")
    assert "execution.dev/missed" not in team.get("Job", "train")["metadata"]["annotations"]
    team.kubectl("patch", "job/train", "--type=merge", "-p", change, f"--as={controller_user()}")
    answer = cli("explain", "job/train")
    assert "The webhook missed it; it was repaired at 2026-01-01T00:00:00Z: metadata only." in answer.out


def test_a_pod_that_waits_says_for_what(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("o", {"maxParallelism": 1})
    team.create(pod("member", options="o", annotations={"execution.dev/group": "g"}))
    message = "waiting for a parallelism slot: 1 of 1 in use, 1st in line"
    team.kubectl("annotate", "pod/member", f"execution.dev/waiting={message}", f"--as={controller_user()}")
    assert f"It is {message}." in cli("explain", "pod/member").out


def test_places_that_differ_and_an_identity_of_others_are_named(team: Team, cli: Callable[..., Answer]) -> None:
    roles = [f"arn:aws:iam::123456789012:role/{name}" for name in ("wanted", "bound")]
    run_as = {"k8sServiceAccount": "trainer", "iamRole": roles[0], "serviceAccountPolicy": "Create"}
    spec = {"selector": {}, "labels": {"a": "1", "b": "1"}, "securityContext": {"runAs": run_as}}
    team.options("all", spec)
    team.create(job(labels={"mine": "1"}, template={"labels": {"b": "author"}}))
    bound = {"eks.amazonaws.com/role-arn": roles[1]}
    team.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer", "annotations": bound}},
    )
    team.merge("Job", "train", {"metadata": {"labels": {"a": "theirs"}}})
    answer = cli("explain", "job/train")
    shown = rows(answer.out)
    assert shown["/metadata/labels/a"] == ("theirs", "somebody else changed it since")
    assert shown["/metadata/labels/b"] == ("1", "from options: its author wrote nothing there")
    assert "/spec/template/metadata/labels/b" not in shown
    assert f"service account 'trainer' is bound to '{roles[1]}', not to '{roles[0]}'" in answer.out


@pytest.mark.parametrize(
    "target",
    [("job", "train"), ("jobs.batch/train",), ("job.batch/train",), ("jobs.v1.batch", "train"), ("Job", "train")],
)
def test_the_execution_is_named_as_kubectl_takes_it(
    team: Team, cli: Callable[..., Answer], target: tuple[str, ...]
) -> None:
    team.create(job())
    answer = cli("explain", *target)
    assert (answer.code, answer.out.partition(",")[0]) == (0, f"Job {team.namespace}/train"), answer


def test_short_names_are_those_of_the_cluster(team: Team, cli: Callable[..., Answer]) -> None:
    team.create(pod("bare"))
    assert cli("explain", "po/bare").out.startswith(f"Pod {team.namespace}/bare, ")
    plan = cli("explain", "cj", "nightly")
    assert "'cj nightly' gets no options itself, but each Job that it starts" in plan.err
    two = cli("explain", "job", "a", "b")
    assert (two.code, "is more than one object" in two.err) == (2, True)


def test_what_a_launch_plan_gets_is_said(cli: Callable[..., Answer]) -> None:
    answer = cli("explain", "cronjob/nightly")
    assert answer.code == 2
    assert "'cronjob/nightly' gets no options itself, but each Job that it starts: ask for one of these" in answer.err


def test_what_does_not_exist(cli: Callable[..., Answer]) -> None:
    answer = cli("explain", "job/nothing")
    assert (answer.code, answer.out, answer.err) == (1, "", 'Error: jobs.batch "nothing" not found\n')


@pytest.mark.parametrize("what", ["train", "deployment/train", "job/", ""])
def test_what_is_no_execution_is_wrong_usage(cli: Callable[..., Answer], what: str) -> None:
    answer = cli("explain", what)
    assert answer.code == 2
    assert "is no execution; write one of: " in answer.err


def test_what_a_pod_does_not_have_is_not_claimed(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("o", {"selector": {}, "labels": {"team": "ours", "tier": "ours"}})
    made = team.create(job())
    (name,) = eventually(lambda: [one["metadata"]["name"] for one in team.listed("Pod")])
    assert "NOT SO IN PODS" not in cli("explain", "job/train").out
    team.merge("Pod", name, {"metadata": {"labels": {"team": "theirs", "tier": None}}})
    assert made["spec"]["template"]["metadata"]["labels"]["team"] == "ours"
    shown = rows(cli("explain", "job/train").out)
    assert shown["labels[tier]"] == ("(absent)", f"1 of 1: {name}")
    assert shown["labels[team]"] == ("theirs", f"1 of 1: {name}")
