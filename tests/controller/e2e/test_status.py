"""What a person sees of options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.waiting import eventually

if TYPE_CHECKING:
    from .conftest import Process, Team

pytestmark = pytest.mark.e2e


def test_new_options_become_ready_and_an_edit_is_observed(controller: Process, team: Team) -> None:
    team.options("nightly", {"selector": {}, "labels": {"tier": "gold"}})
    ready = eventually(lambda: team.condition("nightly", "Ready"))
    assert (ready["status"], ready["reason"]) == ("True", "Applied")
    assert team.condition("nightly", "FullyEffective")["status"] == "True"
    assert team.condition("nightly", "Selecting")["reason"] == "HasSelector"
    generation = team.edit("nightly", {"labels": {"tier": "silver"}})
    eventually(lambda: team.status("nightly")["observedGeneration"] == generation)
    assert team.condition("nightly", "Ready")["lastTransitionTime"] == ready["lastTransitionTime"]


def test_what_has_no_effect_is_said(controller: Process, team: Team) -> None:
    team.options("later", {"selector": {"engines": ["argo-workfloww"]}})
    condition = eventually(lambda: team.condition("later", "FullyEffective"))
    assert (condition["status"], condition["reason"]) == ("False", "FieldsWithoutEffect")
    assert "argo-workfloww is no known engine" in condition["message"]


def test_options_without_a_selector_say_how_to_use_them(controller: Process, team: Team) -> None:
    team.options("on-demand", {"labels": {"a": "b"}})
    condition = eventually(lambda: team.condition("on-demand", "Selecting"))
    assert (condition["status"], condition["reason"]) == ("False", "OnlyByReference")
    assert "execution.dev/options: on-demand" in condition["message"]


def test_executions_are_counted(controller: Process, team: Team) -> None:
    team.options("counted", {"selector": {}, "labels": {"a": "b"}})
    team.job("one")
    team.job("two")
    eventually(lambda: team.status("counted").get("executions") == {"active": 2, "finished": 0})
    team.api.delete(team.path("jobs", "two") + "?propagationPolicy=Background")
    eventually(lambda: team.status("counted").get("executions") == {"active": 1, "finished": 0})


def test_nothing_but_the_status_is_written_to_options(controller: Process, team: Team) -> None:
    before = team.options("git", {"selector": {}})
    eventually(lambda: team.condition("git", "Ready"))
    after = team.get("executionoptions", "git")
    for field in ("annotations", "finalizers", "labels", "generation", "ownerReferences"):
        assert after["metadata"].get(field) == before["metadata"].get(field)
    assert after["spec"] == before["spec"]
