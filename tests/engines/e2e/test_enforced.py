"""Enforced values stay, whatever other fields of an engine reach its pods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.long]

Manifest = dict[str, Any]

LAW: Manifest = {
    "selector": {},
    "mode": "Enforce",
    "labels": {"team": "platform"},
    "annotations": {"example.com/owner": "platform"},
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
}
OURS = "execution.dev/options"
EVIL = "example.com/evil"


@pytest.fixture
def team(engines_cluster: Cluster, namespace: str) -> Iterator[Team]:
    with working(engines_cluster, namespace) as team:
        team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
        team.options("law", LAW)
        yield team


def kubectl(team: Team, *arguments: str, manifest: Manifest | None = None) -> Manifest:
    """The object that a command of kubectl shows."""
    text = None if manifest is None else json.dumps(manifest)
    answer: Manifest = json.loads(
        team.cluster.run_kubectl([*arguments, "-n", team.namespace, "-o", "json"], input=text).stdout
    )
    return answer


def create(team: Team, manifest: Manifest) -> Manifest:
    return kubectl(team, "create", "-f", "-", manifest=manifest)


# TrainJob


def patched(manager: str) -> Manifest:
    """A patch of the pods of a runtime, under somebody's name."""
    pod = {"metadata": {"labels": {"team": "evil"}}, "spec": {"serviceAccountName": "evil"}}
    jobs = [{"name": "node", "template": {"spec": {"template": pod}}}]
    return {"manager": manager, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}


def trainjob(*patches: Manifest) -> Manifest:
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "train"},
        "spec": {"suspend": True, "runtimeRef": {"name": "torch"}, "runtimePatches": list(patches)},
    }


def last_patch(trainjob: Manifest) -> tuple[list[str], Manifest]:
    """Who patches the runtime, in order; and the last one's patch of the pods."""
    patches = trainjob["spec"]["runtimePatches"]
    (node,) = patches[-1]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod: Manifest = node["template"]["spec"]["template"]
    return [patch["manager"] for patch in patches], pod


def test_the_last_patch_of_a_trainjob_is_ours_whoever_writes_another_and_how(team: Team) -> None:
    node = {"name": "node", "template": {"spec": {"template": {"spec": {"containers": [{"name": "node"}]}}}}}
    runtime = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": "torch"},
        "spec": {"template": {"spec": {"replicatedJobs": [node]}}},
    }
    team.kubectl("apply", "-f", "-", manifests=[runtime])
    created = create(team, trainjob({"manager": OURS}, patched(EVIL)))
    assert last_patch(created)[0] == [EVIL, OURS]
    ours = last_patch(created)[1]
    assert ours["spec"]["serviceAccountName"] == "trainer"
    assert ours["metadata"]["labels"]["team"] == "platform"

    stored = created
    for manager in ("example.com/second", OURS):
        apply = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
        stored = kubectl(team, *apply, manifest=trainjob(patched(manager)))
        managers, last = last_patch(stored)
        assert (managers.count(OURS), managers[-1]) == (1, OURS)
        assert last == ours

    stored["spec"]["runtimePatches"] = [patched(OURS), patched(EVIL)]
    assert last_patch(kubectl(team, "replace", "-f", "-", manifest=stored)) == ([EVIL, OURS], ours)


# Ray and Argo Workflows


def ray_group(**labels: str) -> Manifest:
    template = {"spec": {"containers": [{"name": "ray", "image": "none"}]}}
    return {"rayStartParams": {}, "labels": labels, "template": template}


def test_labels_of_a_ray_group_do_not_win_over_what_is_enforced(team: Team) -> None:
    def cluster(head: str, worker: str) -> Manifest:
        workers = [{"groupName": "small", **ray_group(team=worker, own="1")}]
        return {"headGroupSpec": ray_group(team=head), "workerGroupSpecs": workers}

    def groups(rayjob: Manifest) -> list[Manifest]:
        spec = rayjob["spec"]["rayClusterSpec"]
        return [group["labels"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]

    spec = {"entrypoint": "python train.py", "rayClusterSpec": cluster("mine", "mine")}
    created = create(team, {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "train"}, "spec": spec})
    wanted = [{"team": "platform"}, {"team": "platform", "own": "1"}]
    assert groups(created) == wanted
    created["spec"]["rayClusterSpec"] = cluster("again", "again")
    assert groups(kubectl(team, "replace", "-f", "-", manifest=created)) == wanted


def test_a_template_that_is_added_to_a_workflow_does_not_win_over_what_is_enforced(team: Team) -> None:
    def template(name: str) -> Manifest:
        return {"name": name, "metadata": {"labels": {"team": "mine"}}, "container": {"image": "none"}}

    spec = {"entrypoint": "main", "templates": [template("main")]}
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "train"}, "spec": spec}
    stored = create(team, workflow)
    stored["spec"]["templates"] = [template("main"), template("other")]
    stored = kubectl(team, "replace", "-f", "-", manifest=stored)
    assert [one["metadata"]["labels"]["team"] for one in stored["spec"]["templates"]] == ["platform"] * 2
