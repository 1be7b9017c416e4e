"""``list``: executions with options, pods that wait, and notifications."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.kube.client import path_of
from support.workloads import job, pod, pod_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.commands import Answer
    from support.team import Team

pytestmark = pytest.mark.e2e


def unmanaged(name: str, **more: Any) -> dict[str, Any]:
    return job(name, spec={"managedBy": "example.com/test"}, **more)


def listed(cli: Callable[..., Answer], *arguments: str) -> list[dict[str, Any]]:
    answer = cli("list", *arguments, "-o", "json")
    assert (answer.code, answer.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(answer.out)
    return found


def test_executions_are_listed_with_the_options_that_they_got(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("low", {"selector": {"names": ["train-*"]}, "labels": {"a": "1"}})
    team.options("own", {"labels": {"b": "1"}})
    team.create(unmanaged("train-a"))
    team.create(unmanaged("train-b", options="own"))
    team.create(unmanaged("other"))
    team.create(pod("bare", options="own"))
    found = {one["name"]: one for one in listed(cli, "executions")}
    assert {name: one["options"] for name, one in found.items()} == {
        "job.batch/train-a": ["low"],
        "job.batch/train-b": ["low", "own"],
        "pod/bare": ["own"],
    }
    assert {one["phase"] for name, one in found.items() if name.startswith("job")} == {"QUEUED"}
    assert [one["name"] for one in listed(cli, "executions", "--options", "own", "--engine", "job")] == [
        "job.batch/train-b"
    ]
    assert listed(cli, "executions", "--phase", "failed") == []
    table = cli("list", "executions", "--engine", "job").out.splitlines()
    assert table[0].split() == ["NAME", "ENGINE", "PHASE", "OPTIONS", "ACCOUNT", "AGE"]
    assert [line.split()[:4] for line in table[1:]] == [
        ["job.batch/train-a", "job", "QUEUED", "low"],
        ["job.batch/train-b", "job", "QUEUED", "low,own"],
    ]


def test_nothing_is_no_error(cli: Callable[..., Answer]) -> None:
    for what, message in (
        ("executions", "no execution has options here"),
        ("queue", "no pod waits for a slot here"),
        ("deliveries", "there are no notifications here"),
    ):
        assert cli("list", what) == (0, "", f"{message}\n")


def test_an_unknown_engine_is_wrong_usage(cli: Callable[..., Answer]) -> None:
    answer = cli("list", "executions", "--engine", "jobs")
    assert answer.code == 2
    assert "there is no engine 'jobs'; known are argo-workflow," in answer.err


def test_pods_that_wait_are_listed_with_what_they_wait_for(team: Team, cli: Callable[..., Answer]) -> None:
    gate = "execution.dev/max-parallelism"
    for name, gates in (("waits", [{"name": gate}]), ("runs", [])):
        document = pod(name, labels={gate: "capped"})
        document["spec"] = pod_spec(schedulingGates=gates)
        team.create(document)
    (found,) = listed(cli, "queue")
    assert (found["name"], found["execution"], found["waiting"]) == ("pod/waits", "pod/waits", "not looked at yet")


def test_notifications_are_listed_with_what_became_of_them(team: Team, cli: Callable[..., Answer]) -> None:
    path = path_of("execution.dev", "v1beta1", "notificationdeliveries", team.namespace)
    for name, state in (("a", "Failed"), ("b", "")):
        execution = {"engine": "job", "apiVersion": "batch/v1", "kind": "Job", "name": f"train-{name}", "uid": name}
        delivery = {
            "apiVersion": "execution.dev/v1beta1",
            "kind": "NotificationDelivery",
            "metadata": {"name": name},
            "spec": {
                "execution": execution,
                "phase": "FAILED",
                "episode": "FAILED 2026-01-01T00:00:00Z",
                "channel": {"type": "webhook", "namespace": team.namespace, "name": "hook"},
                "to": "hook",
                "recipients": ["hook"],
                "message": {"type": "webhook", "subject": "s", "text": "s"},
            },
        }
        team.request("POST", path, delivery)
        if state:
            status = {"status": {"state": state, "reason": "Rejected", "attempts": 3}}
            team.request("PATCH", f"{path}/{name}/status", status, "application/merge-patch+json")
    assert [(one["execution"], one["state"], one["attempts"]) for one in listed(cli, "deliveries")] == [
        ("train-a", "Failed", 3),
        ("train-b", "Pending", 0),
    ]
    assert [one["reason"] for one in listed(cli, "deliveries", "--state", "failed")] == ["Rejected"]
    assert listed(cli, "deliveries", "--execution", "train-c") == []
