"""Tekton has no limit of its own: its controller's pods wait for each other, run by run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.local import LocalOperator
from support.concurrency import Concurrency
from support.desk import Desk, Manifest
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.engines, pytest.mark.usefixtures("operator", "tekton_controller")]
TASKS, CAP = 6, 2


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    with LocalOperator(control_plane.kubeconfig, control_plane.context) as operator:
        yield operator


def run_of(pod: Manifest) -> str | None:
    name: str | None = pod["metadata"].get("labels", {}).get("tekton.dev/pipelineRun")
    return name


def pipeline_run(name: str) -> Manifest:
    step = {"name": "main", "image": "none", "command": ["true"]}
    spec = {"metadata": {"annotations": {"sim.execution.dev/duration": "0.5s"}}, "steps": [step]}
    tasks = [{"name": f"task-{number}", "taskSpec": spec} for number in range(TASKS)]
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"name": name, "annotations": {"execution.dev/options": "o"}},
        "spec": {"pipelineSpec": {"tasks": tasks}},
    }


def test_the_pods_of_a_pipeline_run_wait_for_each_other(control_plane: Cluster, namespace: str) -> None:
    desk = Desk(control_plane, namespace)
    options = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionOptions",
        "metadata": {"name": "o"},
        "spec": {"maxParallelism": CAP},
    }
    desk.kubectl("apply", "-f", "-", manifest=options)
    with Concurrency(control_plane, namespace, run_of) as runs:
        for name in ("one", "two"):
            desk.start(pipeline_run(name))
        eventually(lambda: runs.done == 2 * TASKS, timeout=90)
    assert runs.most == {"one": CAP, "two": CAP}
    for name in ("one", "two"):
        eventually(lambda name=name: desk.get("PipelineRun", name)["status"].get("completionTime"))
    gated = [pod["metadata"]["labels"]["execution.dev/max-parallelism"] for pod in desk.pods()]
    assert gated == ["gated"] * 2 * TASKS
