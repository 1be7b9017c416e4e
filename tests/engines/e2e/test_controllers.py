"""Each engine's own controller brings executions to the ends that it knows, with pods that no machine runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.desk import OUTCOME, Desk, Manifest
from support.waiting import eventually

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

EXCEEDED = "Pod was active on the node longer than the specified deadline"
EMPTY: Manifest = {}


def exceed_deadline(desk: Desk, pod: Manifest) -> None:
    """Do what a kubelet does when a pod's `activeDeadlineSeconds` have passed."""
    status = {"status": {"phase": "Failed", "reason": "DeadlineExceeded", "message": EXCEEDED}}
    change = ["--subresource=status", "--type=merge", f"--patch={json.dumps(status)}"]
    desk.kubectl("patch", "pod", pod["metadata"]["name"], *change)


@pytest.fixture
def desk(control_plane: Cluster, namespace: str) -> Desk:
    return Desk(control_plane, namespace)


def annotated(outcome: str | None) -> Manifest:
    return {} if outcome is None else {"annotations": {OUTCOME: outcome}}


# JobSet


@pytest.mark.usefixtures("jobset_controller")
@pytest.mark.parametrize(
    ("outcome", "state", "reason", "message"),
    [
        ("succeed", "Completed", "AllJobsCompleted", "jobset completed successfully"),
        ("fail", "Failed", "FailedJobs", "jobset failed due to one or more job failures"),
    ],
)
def test_a_jobset_ends(desk: Desk, outcome: str, state: str, reason: str, message: str) -> None:
    pod = {"metadata": annotated(outcome), "spec": {"containers": [{"name": "main", "image": "none"}]}}
    job = {"spec": {"backoffLimit": 0, "parallelism": 2, "completions": 2, "template": pod}}
    jobs = [{"name": "workers", "replicas": 2, "template": job}]
    desk.start(
        {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {}, "spec": {"replicatedJobs": jobs}}
    )
    status = eventually(lambda: (found := desk.get("JobSet")["status"]).get("terminalState") and found)
    assert status["terminalState"] == state
    condition = next(condition for condition in status["conditions"] if condition["type"] == state)
    assert condition["status"] == "True"
    assert condition["reason"] == reason
    assert message in condition["message"]


# Argo Workflows


def workflow(first: str | None = None, second: str | None = None, **spec: Any) -> Manifest:
    container = {"image": "none", "command": ["true"]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {},
        "spec": {
            "entrypoint": "main",
            "templates": [
                {
                    "name": "main",
                    "steps": [[{"name": "a", "template": "first"}], [{"name": "b", "template": "second"}]],
                },
                {"name": "first", "metadata": annotated(first), "container": container},
                {"name": "second", "metadata": annotated(second), "container": container},
            ],
            **spec,
        },
    }


def ended_workflow(desk: Desk) -> Manifest:
    return eventually(lambda: (found := desk.get("Workflow").get("status", EMPTY)).get("finishedAt") and found)


@pytest.mark.usefixtures("argo_controller")
def test_a_workflow_succeeds(desk: Desk) -> None:
    desk.start(workflow())
    status = ended_workflow(desk)
    assert status["phase"] == "Succeeded"
    assert "message" not in status
    assert status["progress"] == "2/2"


@pytest.mark.usefixtures("argo_controller")
def test_a_workflow_fails(desk: Desk) -> None:
    desk.start(workflow(second="fail"))
    status = ended_workflow(desk)
    assert status["phase"] == "Failed"
    (failed,) = [node for node in status["nodes"].values() if node["type"] == "Pod" and node["phase"] == "Failed"]
    assert failed["message"] == "main: Error (exit code 1)"
    assert status["message"] == f"child '{failed['id']}' failed"


@pytest.mark.usefixtures("argo_controller")
@pytest.mark.parametrize("strategy", ["Stop", "Terminate"])
def test_a_workflow_is_shut_down(desk: Desk, strategy: str) -> None:
    desk.start(workflow(first="never"))
    desk.running_pod()
    desk.change("Workflow", {"shutdown": strategy})
    status = ended_workflow(desk)
    assert (status["phase"], status["message"]) == ("Failed", f"Stopped with strategy '{strategy}'")


@pytest.mark.usefixtures("argo_controller")
def test_a_workflow_exceeds_its_deadline(desk: Desk) -> None:
    desk.start(workflow(first="never"))
    desk.running_pod()
    desk.change("Workflow", {"activeDeadlineSeconds": 0})
    status = ended_workflow(desk)
    assert status["phase"] == "Failed"
    (pod,) = [node for node in status["nodes"].values() if node["type"] == "Pod"]
    # Only the step has the reason: the workflow reports a failed child, and with a DAG nothing at all.
    assert (pod["phase"], pod["message"]) == ("Failed", "Step exceeded its deadline")
    assert status["message"] == f"child '{pod['id']}' failed"


@pytest.mark.usefixtures("argo_controller")
def test_the_kubelet_enforces_the_deadline_of_a_workflow(desk: Desk) -> None:
    desk.start(workflow(first="never", entrypoint="first", activeDeadlineSeconds=3600))
    pod = desk.running_pod()
    assert 0 < pod["spec"]["activeDeadlineSeconds"] <= 3600
    exceed_deadline(desk, pod)
    status = ended_workflow(desk)
    assert (status["phase"], status["message"]) == ("Failed", EXCEEDED)


@pytest.mark.usefixtures("argo_controller")
def test_a_templates_metadata_win_over_those_for_all_pods_of_a_workflow(desk: Desk) -> None:
    manifest = workflow(podMetadata={"labels": {"team": "a"}, "annotations": {"example.com/note": "a"}})
    manifest["spec"]["templates"][1]["metadata"] = {"labels": {"team": "b"}, "annotations": {"example.com/note": "b"}}
    desk.start(manifest)
    assert ended_workflow(desk)["phase"] == "Succeeded"
    pods = [pod["metadata"] for pod in desk.pods()]
    assert [(pod["labels"]["team"], pod["annotations"]["example.com/note"]) for pod in pods] == [("b", "b"), ("a", "a")]


# Tekton Pipelines


def pipeline_run(first: str | None = None, second: str | None = None, **spec: Any) -> Manifest:
    steps = [{"name": "main", "image": "none", "command": ["true"]}]
    tasks = [
        {"name": "first", "taskSpec": {"metadata": annotated(first), "steps": steps}},
        {"name": "second", "runAfter": ["first"], "taskSpec": {"metadata": annotated(second), "steps": steps}},
    ]
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"labels": {"team": "a"}, "annotations": {"example.com/note": "b"}},
        "spec": {"pipelineSpec": {"tasks": tasks}, **spec},
    }


def ended_run(desk: Desk) -> Manifest:
    status = eventually(lambda: (found := desk.get("PipelineRun").get("status", EMPTY)).get("completionTime") and found)
    condition: Manifest = next(condition for condition in status["conditions"] if condition["type"] == "Succeeded")
    return condition


@pytest.mark.usefixtures("tekton_controller")
@pytest.mark.parametrize(
    ("second", "status", "reason"), [("succeed", "True", "Succeeded"), ("fail", "False", "Failed")]
)
def test_a_pipeline_run_ends(desk: Desk, second: str, status: str, reason: str) -> None:
    desk.start(pipeline_run(second=second))
    condition = ended_run(desk)
    assert (condition["status"], condition["reason"]) == (status, reason)


@pytest.mark.usefixtures("tekton_controller")
def test_a_pipeline_run_is_cancelled(desk: Desk) -> None:
    desk.start(pipeline_run(first="never"))
    desk.running_pod()
    desk.change("PipelineRun", {"status": "Cancelled"})
    condition = ended_run(desk)
    assert (condition["status"], condition["reason"]) == ("False", "Cancelled")


@pytest.mark.usefixtures("tekton_controller")
def test_a_pipeline_run_times_out(desk: Desk) -> None:
    desk.start(pipeline_run(first="never", timeouts={"pipeline": "3s"}))
    condition = ended_run(desk)
    assert (condition["status"], condition["reason"]) == ("False", "PipelineRunTimeout")


@pytest.mark.usefixtures("tekton_controller")
def test_what_a_pipeline_run_carries_reaches_its_pods(desk: Desk) -> None:
    env = [{"name": "NAME", "value": "value"}]
    desk.start(pipeline_run(taskRunTemplate={"podTemplate": {"env": env}}))
    assert ended_run(desk)["status"] == "True"
    pods = desk.pods()
    assert len(pods) == 2
    for pod in pods:
        assert pod["metadata"]["labels"]["team"] == "a"
        assert pod["metadata"]["annotations"]["example.com/note"] == "b"
        (step,) = pod["spec"]["containers"]
        assert step["env"] == env
