"""Pods that wait count against a ResourceQuota; they leave a part of it to others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.engines.profile import builtin
from support.enginekinds import install_kinds
from support.waiting import eventually
from support.workloads import controlled_by, pod

from .conftest import DURATION, member

if TYPE_CHECKING:
    from execution_options.cluster import Cluster
    from support.team import Team

pytestmark = pytest.mark.e2e
TEKTON = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"
CARRIED = ("execution.dev/id", "execution.dev/max-parallelism")


@pytest.fixture(scope="module")
def runs(control_plane: Cluster) -> None:
    """The kind of Tekton's runs, without Tekton."""
    install_kinds(control_plane, [engine for engine in builtin() if engine.kind == "PipelineRun"])


def run(team: Team, name: str) -> dict[str, Any]:
    metadata = {"name": name, "annotations": {"execution.dev/options": "o"}}
    manifest = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": metadata, "spec": {}}
    made: dict[str, Any] = json.loads(team.kubectl("create", "-f", "-", "-o", "json", manifests=[manifest]))
    return made


def start(team: Team, of: dict[str, Any], name: str) -> str:
    """A pod as Tekton's controller makes it; what the API server says."""
    labels = {key: of["metadata"]["labels"][key] for key in CARRIED}
    made = pod(name, labels=labels, annotations={DURATION: "1h"})
    owned = controlled_by(made, "tekton.dev/v1", "PipelineRun", of["metadata"]["name"], of["metadata"]["uid"])
    who = (f"--as={TEKTON}", "--as-group=system:masters")
    return team.kubectl("create", "-f", "-", *who, manifests=[owned], check=False)


def used(team: Team) -> str:
    return team.kubectl("get", "resourcequota", "quota", "-o", "jsonpath={.status.used.pods}")


def state(team: Team, name: str) -> str:
    return "waits" if team.get("Pod", name)["spec"].get("schedulingGates") else "runs"


@pytest.mark.usefixtures("runs")
def test_those_who_wait_leave_a_part_of_the_quota_to_others(team: Team) -> None:
    team.kubectl("create", "quota", "quota", "--hard=pods=8")
    eventually(lambda: used(team) == "0")
    team.options("o", {"maxParallelism": 2})
    large, small = run(team, "large"), run(team, "small")
    for number in range(3):
        assert "created" in start(team, large, f"large-{number}")
    eventually(lambda: [state(team, f"large-{number}") for number in range(3)] == ["runs", "runs", "waits"])
    backlog = ("get", "configmap", "execution-options-waiting", "--namespace=execution-options-system", "-o", "json")
    waiting = large["metadata"]["labels"]["execution.dev/id"]
    eventually(lambda: waiting in team.cluster.run_kubectl([*backlog], check=False).stdout)
    for number in range(3, 6):
        assert "created" in start(team, large, f"large-{number}")
    # Three quarters are used: who would only wait must come again, in the words that engines know a quota by.
    said = eventually(lambda: (answer := start(team, large, "large-6")) and "created" not in answer and answer)
    assert "Forbidden" in said
    assert (
        "exceeded quota: quota, used: pods 6 of 8: pods of this execution wait for a parallelism slot already" in said
    )
    eventually(lambda: "no more" in said and "which is nearly used: pods 6 of 8" in events(team))
    # Who has slots left is admitted, and so is who has nothing to do with it.
    assert "created" in start(team, small, "small-0")
    eventually(lambda: state(team, "small-0") == "runs")
    team.create(member("bare", "", "1h"))
    for number in range(4):
        team.request("DELETE", team.path("Pod", f"large-{number}") + "?gracePeriodSeconds=0")
    eventually(lambda: [state(team, f"large-{number}") for number in (4, 5)] == ["runs"] * 2)
    eventually(lambda: "created" in start(team, large, "large-6"))


def events(team: Team) -> str:
    return team.kubectl("get", "events", "--field-selector=reason=QuotaNearlyUsed")


def test_bare_pods_are_not_refused_but_it_is_said(team: Team) -> None:
    team.kubectl("create", "quota", "quota", "--hard=pods=4")
    eventually(lambda: used(team) == "0")
    team.options("o", {"maxParallelism": 1})
    for number in range(4):
        team.create(member(f"p-{number}", "g", "1h", options="o"))
    eventually(lambda: "count against ResourceQuota quota, which is nearly used: pods 4 of 4" in events(team))
