"""Executions that were created past the webhook are found, reported and repaired as far as possible."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.annotations import MAX_ANNOTATIONS
from execution_options.options.snapshot import decode
from support.waiting import eventually

from .conftest import Team, refusing

if TYPE_CHECKING:
    from .conftest import Process

pytestmark = pytest.mark.e2e

SPEC: dict[str, Any] = {
    "selector": {"names": ["m-*"]},
    "labels": {"a": "1"},
    "annotations": {"note": "ours"},
    "envs": [{"name": "KEY", "value": "1"}],
}


def options_since_a_second_ago(team: Team, name: str, spec: dict[str, Any]) -> None:
    """Options that were there before what is created next, also to a clock that counts whole seconds."""
    created = datetime.fromisoformat(team.options(name, spec)["metadata"]["creationTimestamp"])
    eventually(lambda: (datetime.now(UTC) - created).total_seconds() >= 1, timeout=3)
    eventually(lambda: team.condition(name, "Ready"))


def test_a_missed_job_is_found_reported_and_repaired(controller: Process, team: Team) -> None:
    options_since_a_second_ago(team, "o", SPEC)
    team.job("m-1", stamped=False, labels={"own": "mine"}, completions=2, parallelism=1)
    eventually(lambda: team.labels("jobs", "m-1") == {"a": "1", "own": "mine"})
    job = team.get("jobs", "m-1")["metadata"]
    assert decode(job["annotations"]["execution.dev/snapshot"]).id == job["labels"]["execution.dev/id"]
    assert job["annotations"]["note"] == "ours"
    assert job["annotations"]["execution.dev/missed"]
    (pod,) = eventually(lambda: team.pods("m-1"))
    eventually(lambda: team.labels("pods", pod) == {"a": "1", "own": "mine"})
    event = eventually(lambda: team.events("m-1", "AdmissionMissed"))[0]
    assert event["type"] == "Warning"
    assert "environment variables KEY" in event["note"]
    eventually(lambda: team.condition("o", "AdmissionComplete")["reason"] == "AdmissionMissed")
    # Edits and later pods find it like any other.
    team.edit("o", {"labels": {"a": "2"}})
    eventually(lambda: team.labels("pods", pod) == {"a": "2", "own": "mine"})
    team.api.merge(team.path("jobs", "m-1"), {"spec": {"parallelism": 2}})
    second = eventually(lambda: next(iter(set(team.pods("m-1")) - {pod}), None))
    eventually(lambda: team.labels("pods", second) == {"a": "2", "own": "mine"})
    assert team.get("pods", second)["metadata"]["labels"]["execution.dev/id"] == job["labels"]["execution.dev/id"]


def test_a_job_whose_annotations_leave_no_room_is_said_and_left_alone(controller: Process, team: Team) -> None:
    options_since_a_second_ago(team, "o", {**SPEC, "selector": {}})
    body = team.job_manifest("full")
    body["metadata"]["annotations"]["large"] = "x" * (MAX_ANNOTATIONS - 100)
    team.api.create(team.path("jobs"), body)
    (message,) = eventually(lambda: team.events("full", "OptionsLeftOut"))
    assert f"Kubernetes takes at most {MAX_ANNOTATIONS}" in message["note"]
    assert team.labels("jobs", "full") == {}
    assert not team.events("full", "AdmissionMissed")
    # Nothing is tried again.
    team.options("later", {"labels": {"b": "1"}})
    eventually(lambda: team.condition("later", "Ready"))
    assert not controller.message(f"{team.namespace}/full: 422")


def test_a_missed_job_whose_repair_is_refused_is_reported_and_repaired_once_it_may_be(
    controller: Process, team: Team
) -> None:
    options_since_a_second_ago(team, "o", {"selector": {"names": ["m-*"]}, "labels": {"b": "1"}})
    with refusing(team, "b"):
        team.job("m-1", stamped=False)
        (message,) = eventually(lambda: team.events("m-1", "AdmissionMissed"))
        assert "what it lacks is refused" in message["note"]
        assert "the platform wants no b" in message["note"]
        assert team.labels("jobs", "m-1") == {}
    eventually(lambda: team.labels("jobs", "m-1") == {"b": "1"}, timeout=60)


def test_a_missed_job_gets_what_its_launch_plan_refers_to(controller: Process, team: Team) -> None:
    options_since_a_second_ago(team, "plan", {"labels": {"a": "plan"}})
    pods = team.job_manifest("m-1")["spec"]["template"]
    plan = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "annotations": {"execution.dev/options": "plan"}},
        "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": pods}}},
    }
    made = team.api.create(team.path("cronjobs"), plan)["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": made["uid"], "controller": True}
    manifest = team.job_manifest("m-1")
    manifest["metadata"]["ownerReferences"] = [owner]
    team.api.create(team.path("jobs"), manifest)
    eventually(lambda: team.labels("jobs", "m-1") == {"a": "plan"})


def test_options_and_edits_after_its_creation_never_apply(controller: Process, team: Team) -> None:
    options_since_a_second_ago(team, "edited", {"labels": {"edited": "1"}})
    team.job("m-1", stamped=False)
    eventually(lambda: team.pods("m-1"))
    time.sleep(1.0)  # the API server's clock must have gone on
    team.edit("edited", {"selector": {}})
    options_since_a_second_ago(team, "newer", {"selector": {}, "labels": {"newer": "1"}})
    options_since_a_second_ago(team, "marker", {"selector": {}, "labels": {"marker": "1"}})
    team.job("m-2", stamped=False)
    # Whatever was to happen to the first one has happened before this.
    eventually(lambda: team.labels("jobs", "m-2") == {"edited": "1", "newer": "1", "marker": "1"})
    assert team.labels("jobs", "m-1") == {}
    assert "execution.dev/snapshot" not in team.annotations("jobs", "m-1")


def test_what_opted_out_or_is_part_of_something_larger_is_not_missed(controller: Process, team: Team) -> None:
    options_since_a_second_ago(team, "o", SPEC)
    team.job("m-out", stamped=False, reference="none")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "0f1e", "controller": True}
    part = team.job_manifest("m-part")
    part["metadata"]["ownerReferences"] = [owner]
    team.api.create(team.path("jobs"), part)
    team.job("m-1", stamped=False)
    eventually(lambda: team.labels("jobs", "m-1") == {"a": "1"})
    assert team.labels("jobs", "m-out") == {}
    part_now = team.api.find(team.path("jobs", "m-part"))
    assert part_now is None or "execution.dev/id" not in part_now["metadata"].get("labels", {})


def test_a_reference_to_what_does_not_exist_is_reported(controller: Process, team: Team) -> None:
    options_since_a_second_ago(team, "o", {"labels": {"a": "1"}})
    team.job("m-1", stamped=False, reference="nightly")
    event = eventually(lambda: team.events("m-1", "AdmissionMissed"))[0]
    assert "nightly" in event["note"]


def bare_pod(team: Team, name: str) -> dict[str, Any]:
    template = team.job_manifest(name)["spec"]["template"]
    created: dict[str, Any] = team.api.create(
        team.path("pods"),
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": template["metadata"] | {"name": name},
            "spec": template["spec"],
        },
    )
    return created


def test_bare_pods_are_executions_only_where_their_namespace_says_so(controller: Process, team: Team) -> None:
    options_since_a_second_ago(team, "o", SPEC)
    bare_pod(team, "m-before")
    team.job("m-1", stamped=False)
    eventually(lambda: team.labels("jobs", "m-1") == {"a": "1"})
    assert team.labels("pods", "m-before") == {}
    namespace = f"/api/v1/namespaces/{team.namespace}"
    team.api.merge(namespace, {"metadata": {"labels": {"execution.dev/pods": "enabled"}}})
    time.sleep(1.0)  # the API server's clock must have gone on
    bare_pod(team, "m-after")
    eventually(lambda: team.labels("pods", "m-after") == {"a": "1"})
    team.edit("o", {"labels": {"a": "2"}})
    eventually(lambda: team.labels("pods", "m-after") == {"a": "2"})
    assert team.labels("pods", "m-before") == {}


def test_any_number_of_namespaces_may_opt_in(controller: Process, team: Team) -> None:
    """Each once took a connection of its own, so that with 52 of them the Lease could not be renewed."""
    path, names = "/api/v1/namespaces", [f"{team.namespace}-{number}" for number in range(80)]
    for name in names:
        team.api.create(path, {"metadata": {"name": name, "labels": {"execution.dev/pods": "enabled"}}})
    last = Team(team.api, names[-1])
    try:
        eventually(lambda: team.api.get(f"{path}/{names[-1]}/serviceaccounts")["items"])
        options_since_a_second_ago(last, "o", SPEC)
        bare_pod(last, "m-late")
        eventually(lambda: last.labels("pods", "m-late") == {"a": "1"})
    finally:
        for name in names:
            team.api.delete(f"{path}/{name}")
