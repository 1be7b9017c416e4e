"""Tekton has no limit of its own: its controller's pods wait for each other, run by run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.local import LocalOperator
from support.commands import execution_options
from support.concurrency import Concurrency
from support.desk import OUTCOME, Desk, Manifest
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.engines, pytest.mark.usefixtures("operator", "tekton_controller")]
TASKS, CAP = 6, 2
GATE = "execution.dev/max-parallelism"


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    with LocalOperator(control_plane.kubeconfig, control_plane.context) as operator:
        yield operator


def run_of(pod: Manifest) -> str | None:
    name: str | None = pod["metadata"].get("labels", {}).get("tekton.dev/pipelineRun")
    return name


def task(name: str, after: str = "", **annotations: str) -> Manifest:
    step = {"name": "main", "image": "none", "command": ["true"]}
    marked = {f"sim.execution.dev/{key}": value for key, value in annotations.items()}
    found: Manifest = {"name": name, "taskSpec": {"metadata": {"annotations": marked}, "steps": [step]}}
    return found | ({"runAfter": [after]} if after else {})


def pipeline_run(name: str, tasks: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"name": name, "annotations": {"execution.dev/options": "o"}},
        "spec": {"pipelineSpec": {"tasks": tasks}},
    }


def options(desk: Desk, **spec: Any) -> None:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionOptions", "metadata": {"name": "o"}}
    desk.kubectl("apply", "-f", "-", manifest={**manifest, "spec": spec})


def waiting(desk: Desk) -> int:
    return sum(bool(pod["spec"].get("schedulingGates")) for pod in desk.pods())


def end(desk: Desk, task_name: str, run: str = "run") -> None:
    of_run = [pod for pod in desk.pods() if run_of(pod) == run]
    (pod,) = [pod for pod in of_run if pod["metadata"]["labels"]["tekton.dev/pipelineTask"] == task_name]
    desk.kubectl("annotate", "--overwrite", "pod", pod["metadata"]["name"], f"{OUTCOME}=succeed")


def test_the_pods_of_a_pipeline_run_wait_for_each_other(control_plane: Cluster, namespace: str) -> None:
    desk = Desk(control_plane, namespace)
    options(desk, maxParallelism=CAP)
    tasks = [task(f"task-{number}", duration="0.5s") for number in range(TASKS)]
    with Concurrency(control_plane, namespace, run_of) as runs:
        for name in ("one", "two"):
            desk.start(pipeline_run(name, tasks))
        eventually(lambda: runs.done == 2 * TASKS, timeout=90)
    assert runs.most == {"one": CAP, "two": CAP}
    for name in ("one", "two"):
        eventually(lambda name=name: desk.get("PipelineRun", name)["status"].get("completionTime"))
    gated = [pod["metadata"]["labels"]["execution.dev/max-parallelism"] for pod in desk.pods()]
    assert gated == ["gated"] * 2 * TASKS


FIRST = [task(f"first-{number}", outcome="never") for number in range(3)]
LATER = [task(f"later-{number}", after="first-0", outcome="never") for number in range(3)]


def test_a_first_limit_that_an_edit_gives_holds_for_later_runs(control_plane: Cluster, namespace: str) -> None:
    desk = Desk(control_plane, namespace)
    options(desk, labels={"a": "1"})
    with Concurrency(control_plane, namespace, run_of) as runs:
        desk.start(pipeline_run("run", FIRST + LATER))
        eventually(lambda: runs.now == {"run": 3}, timeout=60)
        options(desk, labels={"a": "2"}, maxParallelism=2)
        eventually(lambda: desk.get("PipelineRun")["metadata"]["labels"]["a"] == "2")
        desk.start(pipeline_run("next", FIRST))
        eventually(lambda: runs.now == {"run": 3, "next": 2} and waiting(desk) == 1, timeout=60)
        end(desk, "first-0")
        eventually(lambda: runs.now == {"run": 5, "next": 2}, timeout=60)
        assert GATE not in desk.get("PipelineRun")["metadata"]["labels"]
        eventually(lambda: desk.get("ExecutionOptions", "o")["status"].get("pods") == {"running": 2, "waiting": 1})
        arguments = ("explain", "pipelinerun/run", "-n", namespace)
        answer = execution_options(*arguments, kubeconfig=control_plane.kubeconfig)
        assert "maxParallelism: an edit reaches later executions only, this one keeps no limit" in answer.out
        assert runs.most == {"run": 5, "next": 2}
        options(desk, labels={"a": "2"})
        eventually(lambda: runs.now == {"run": 5, "next": 3})


def selected_run(desk: Desk, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """A run that options with a limit of 2 select, which are old enough for it to be found missed."""
    options(desk, selector={"engines": ["tekton-pipelinerun"]}, maxParallelism=2)
    since = datetime.fromisoformat(desk.get("ExecutionOptions", "o")["metadata"]["creationTimestamp"])
    eventually(lambda: (datetime.now(UTC) - since).total_seconds() >= 1)
    run: dict[str, Any] = pipeline_run("run", tasks)
    del run["metadata"]["annotations"]
    return run


@pytest.mark.parametrize("down", [("webhook", "controller"), ("webhook",)])
def test_the_pods_of_a_run_that_was_created_past_the_webhook_count(
    control_plane: Cluster, namespace: str, operator: LocalOperator, down: tuple[str, ...]
) -> None:
    desk = Desk(control_plane, namespace)
    run = selected_run(desk, FIRST + LATER)
    with Concurrency(control_plane, namespace, run_of) as runs:
        for part in down:
            operator.kill(part)
        try:
            desk.start(run)
            eventually(lambda: runs.now == {"run": 3}, timeout=60)
        finally:
            for part in down:
                operator.start(part)
            for part in down:
                operator.wait_ready(part)
        eventually(lambda: "3 of 2 in use" in desk.kubectl("get", "events", "--field-selector=reason=OverParallelism"))
        end(desk, "first-0")
        eventually(lambda: waiting(desk) == 3, timeout=60)
        end(desk, "first-1")
        eventually(lambda: runs.now == {"run": 2} and waiting(desk) == 2, timeout=60)
        assert runs.most == {"run": 3}


def test_pods_that_a_quota_has_no_room_for_come_again(control_plane: Cluster, namespace: str) -> None:
    desk = Desk(control_plane, namespace)
    desk.kubectl("create", "quota", "quota", "--hard=pods=4")
    options(desk, maxParallelism=1)

    def refused() -> list[str]:
        runs = [run["status"].get("conditions", ()) for run in desk.all("TaskRun") if "status" in run]
        return [one["message"] for (one,) in filter(None, runs) if one["reason"] == "ExceededResourceQuota"]

    with Concurrency(control_plane, namespace, run_of) as runs:
        desk.start(pipeline_run("run", [task(f"task-{number}", duration="5s") for number in range(5)]))
        messages = eventually(refused, timeout=60)
        assert all("exceeded quota: quota" in one for one in messages)
        # Tekton comes again after a minute.
        eventually(lambda: runs.done == 5, timeout=150)
    assert runs.most == {"run": 1}
    eventually(lambda: desk.get("PipelineRun")["status"].get("completionTime"))
