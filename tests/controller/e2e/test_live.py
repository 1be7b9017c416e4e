"""Edits of options reach living Jobs and their pods, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from execution_options.api.annotations import MAX_ANNOTATIONS
from support.waiting import eventually

from .conftest import refusing

if TYPE_CHECKING:
    from .conftest import Process, Team

pytestmark = pytest.mark.e2e


def one_pod(team: Team, job: str) -> str:
    (pod,) = eventually(lambda: team.pods(job))
    return pod


def test_an_edit_reaches_a_job_and_its_pod_and_removed_keys_go(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1", "gone": "x"}, "annotations": {"note": "old"}})
    team.job("j", labels={"own": "mine"})
    pod = one_pod(team, "j")
    assert team.labels("pods", pod) == {"a": "1", "gone": "x", "own": "mine"}
    team.edit("o", {"labels": {"a": "2", "gone": None, "new": "y"}, "annotations": {"note": "new"}})
    wanted = {"a": "2", "new": "y", "own": "mine"}
    for plural, name in (("jobs", "j"), ("pods", pod)):
        eventually(lambda plural=plural, name=name: team.labels(plural, name) == wanted)
        assert team.annotations(plural, name)["note"] == "new"


def test_pods_that_a_running_job_creates_later_are_corrected(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1", "gone": "x"}})
    team.job("j", completions=2, parallelism=1)
    first = one_pod(team, "j")
    team.edit("o", {"labels": {"a": "2", "gone": None}})
    eventually(lambda: team.labels("jobs", "j") == {"a": "2"})
    team.api.merge(team.path("jobs", "j"), {"spec": {"parallelism": 2}})
    second = eventually(lambda: next(iter(set(team.pods("j")) - {first}), None))
    eventually(lambda: team.labels("pods", second) == {"a": "2"})


def test_going_back_leaves_no_trace(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    team.job("j")
    pod = one_pod(team, "j")
    team.edit("o", {"labels": {"a": "2", "b": "3"}})
    eventually(lambda: team.labels("pods", pod) == {"a": "2", "b": "3"})
    team.edit("o", {"labels": {"a": "1", "b": None}})
    for plural, name in (("jobs", "j"), ("pods", pod)):
        eventually(lambda plural=plural, name=name: team.labels(plural, name) == {"a": "1"})
        assert not {"execution.dev/live", "execution.dev/applied"} & team.annotations(plural, name).keys()


def test_values_that_others_changed_stay_and_are_reported(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1", "b": "1"}})
    team.job("j")
    team.api.merge(team.path("jobs", "j"), {"metadata": {"labels": {"a": "theirs"}}})
    team.edit("o", {"labels": {"a": "2", "b": "2"}})
    eventually(lambda: team.labels("jobs", "j") == {"a": "theirs", "b": "2"})
    event = eventually(lambda: team.events("j", "OptionsLeft"))[0]
    assert "a stays 'theirs'" in event["note"]


def test_a_pods_value_that_somebody_else_changed_stays_and_is_reported(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    team.job("j")
    pod = one_pod(team, "j")
    team.edit("o", {"labels": {"a": "2"}})
    eventually(lambda: team.labels("pods", pod) == {"a": "2"})
    team.api.merge(team.path("pods", pod), {"metadata": {"labels": {"a": "theirs"}}})
    team.edit("o", {"labels": {"a": "3", "b": "3"}})
    eventually(lambda: team.labels("pods", pod) == {"a": "theirs", "b": "3"})
    event = eventually(lambda: team.events("j", "OptionsLeft"))[0]
    assert event["note"] == f"pod {pod}: a stays 'theirs', as somebody else left it; options want '3'"


def test_what_is_enforced_is_put_back_while_no_webhook_does(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "mode": "Enforce", "labels": {"cost": "1"}, "annotations": {"note": "1"}})
    team.job("j")
    pod = one_pod(team, "j")
    for plural, name in (("jobs", "j"), ("pods", pod)):
        change = {"metadata": {"labels": {"cost": "theirs"}, "annotations": {"note": None}}}
        team.api.merge(team.path(plural, name), change)
        eventually(lambda plural=plural, name=name: team.labels(plural, name) == {"cost": "1"})
        eventually(lambda plural=plural, name=name: team.annotations(plural, name)["note"] == "1")


def test_the_author_gets_a_value_back_that_was_enforced_meanwhile(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
    team.job("j", labels={"cost": "mine", "later": "mine"})
    pod = one_pod(team, "j")
    assert team.labels("pods", pod) == {"cost": "platform", "later": "mine"}
    team.edit("o", {"labels": {"cost": None, "later": "platform"}})
    for plural, name in (("jobs", "j"), ("pods", pod)):
        eventually(lambda plural=plural, name=name: team.labels(plural, name) == {"cost": "mine", "later": "platform"})
    team.edit("o", {"labels": None})
    for plural, name in (("jobs", "j"), ("pods", pod)):
        eventually(lambda plural=plural, name=name: team.labels(plural, name) == {"cost": "mine", "later": "mine"})


def test_next_execution_deletion_and_another_object_of_that_name_change_nothing(
    controller: Process, team: Team
) -> None:
    team.options("frozen", {"selector": {}, "updatePolicy": "NextExecution", "labels": {"a": "1"}})
    team.options("deleted", {"selector": {}, "labels": {"b": "1"}})
    team.options("marker", {"selector": {}, "labels": {"m": "1"}})
    team.job("j")
    team.edit("frozen", {"labels": {"a": "2"}})
    team.api.delete(team.path("executionoptions", "deleted"))
    team.options("deleted", {"selector": {}, "labels": {"b": "2"}})
    team.options("newcomer", {"selector": {}, "labels": {"c": "1"}})
    # The last edit is carried out after all that was done before it.
    team.edit("marker", {"labels": {"m": "2"}})
    eventually(lambda: team.labels("jobs", "j")["m"] == "2")
    assert team.labels("jobs", "j") == {"a": "1", "b": "1", "m": "2"}


def test_a_job_that_has_ended_is_left_alone(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    body = team.job_manifest("ended")
    body["spec"]["template"]["metadata"]["annotations"] = {}
    team.admit("job", body)
    team.api.create(team.path("jobs"), body)
    eventually(lambda: team.get("jobs", "ended").get("status", {}).get("completionTime"))
    team.job("living")
    eventually(lambda: team.status("o").get("executions") == {"active": 1, "finished": 1})
    team.edit("o", {"labels": {"a": "2"}})
    eventually(lambda: team.labels("jobs", "living") == {"a": "2"})
    assert team.labels("jobs", "ended") == {"a": "1"}


def test_what_the_author_wrote_otherwise_is_said_once(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "ours"}})
    team.job("j", labels={"a": "mine"})
    event = eventually(lambda: team.events("j", "OptionsApplied"))[0]
    assert "label a: stays 'mine'" in event["note"]
    team.edit("o", {"labels": {"b": "1"}})
    eventually(lambda: team.labels("jobs", "j") == {"a": "mine", "b": "1"})
    assert len(team.events("j", "OptionsApplied")) == 1


def test_what_others_refuse_is_said_on_the_execution_until_it_is_another(controller: Process, team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    team.job("j")
    pod = one_pod(team, "j")
    with refusing(team, "b"):
        team.edit("o", {"labels": {"a": "2", "b": "1"}})
        (message,) = eventually(lambda: team.events("j", "OptionsNotFollowed"))
        assert "it stays as it is: " in message["note"]
        assert "the platform wants no b" in message["note"]
        assert team.labels("jobs", "j") == {"a": "1"}
        # The policy may keep them from another Job, too, and from that first.
        job = f"Job {team.namespace}/j: "
        expected = re.compile(f"edits do not reach (1 execution: |2 executions, among them ){job}")
        eventually(lambda: expected.match(team.condition("o", "EditsFollowed")["message"]))
        followed = team.condition("o", "EditsFollowed")
        assert (followed["status"], followed["reason"]) == ("False", "EditsRefused")
        assert "the platform wants no b" in followed["message"]
        team.edit("o", {"labels": {"a": "3", "b": None}})
        for plural, name in (("jobs", "j"), ("pods", pod)):
            eventually(lambda plural=plural, name=name: team.labels(plural, name) == {"a": "3"})
        assert len(team.events("j", "OptionsNotFollowed")) == 1
        eventually(lambda: team.condition("o", "EditsFollowed")["status"] == "True")


def test_an_edit_that_leaves_no_room_for_annotations_is_said_and_not_tried_again(
    controller: Process, team: Team
) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    body = team.job_manifest("j")
    body["metadata"]["annotations"]["large"] = "x" * (MAX_ANNOTATIONS - 1500)
    team.admit("job", body)
    team.api.create(team.path("jobs"), body)
    team.edit("o", {"labels": {"a": "2"}, "annotations": {"note": "x" * 1500}})
    followed = eventually(lambda: team.condition("o", "EditsFollowed"))
    assert followed["status"] == "False"
    assert f"Kubernetes takes at most {MAX_ANNOTATIONS}" in followed["message"]
    assert team.labels("jobs", "j") == {"a": "1"}
    team.edit("o", {"labels": {"a": "3"}, "annotations": {"note": "short"}})
    eventually(lambda: team.labels("jobs", "j") == {"a": "3"})
    eventually(lambda: team.condition("o", "EditsFollowed")["status"] == "True")


def test_edits_of_text_that_the_api_server_escapes_keep_reaching_a_job_and_its_pod(
    controller: Process, team: Team
) -> None:
    texts = [
        "Data <data@example.com>",
        "https://x.example/?a=1&b=2",
        "line\u2028separator\u2029",
        "plain",
        "a\b\f\x7f<>&",
    ]
    template = {
        "phases": ["FAILED"],
        "webhook": {},
        "channelRef": {"name": "hook"},
        "template": {"body": "> {{ error }}"},
    }
    team.options("o", {"selector": {}, "labels": {"a": "0"}, "annotations": {"note": "&"}, "notifications": [template]})
    team.job("j")
    pod = one_pod(team, "j")
    for number, text in enumerate(texts, 1):
        team.edit("o", {"labels": {"a": str(number)}, "annotations": {"note": text}})
        for plural, name in (("jobs", "j"), ("pods", pod)):
            eventually(lambda plural=plural, name=name, text=text: team.annotations(plural, name)["note"] == text)
            eventually(lambda plural=plural, name=name, number=number: team.labels(plural, name) == {"a": str(number)})
    assert team.events("j", "OptionsNotFollowed") == []
    assert team.condition("o", "EditsFollowed") == {}
