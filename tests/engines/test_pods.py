"""The role of each pod of an execution, by the metadata that its engine writes."""

from __future__ import annotations

import pytest

from execution_options.engines.profile import builtin

ENGINES = {engine.name: engine for engine in builtin()}


@pytest.mark.parametrize(
    ("engine", "name", "labels", "role"),
    [
        ("job", "a", {"batch.kubernetes.io/job-name": "a"}, "unit"),
        ("job", "a", {"dagster/run-id": "1", "app.kubernetes.io/component": "run_worker"}, "coordinator"),
        ("job", "a", {"dagster/run-id": "1", "app.kubernetes.io/component": "step_worker"}, "unit"),
        ("job", "a", {"app.kubernetes.io/component": "run_worker"}, "unit"),
        ("job", "a", {"prefect.io/flow-run-id": "1"}, "coordinator"),
        ("jobset", "a", {"jobset.sigs.k8s.io/jobset-name": "a"}, "gang"),
        ("argo-workflow", "a-main-123", {"workflows.argoproj.io/workflow": "a"}, "unit"),
        ("argo-workflow", "a-agent", {"workflows.argoproj.io/component": "agent"}, "coordinator"),
        ("argo-workflow", "a-1340600742-agent", {"workflows.argoproj.io/component": "artifact-gc"}, "coordinator"),
        ("argo-workflow", "run-system-dag-driver-123", {"pipeline/runid": "r"}, "coordinator"),
        ("argo-workflow", "run-system-container-driver-123", {"pipeline/runid": "r"}, "coordinator"),
        ("argo-workflow", "run-system-container-impl-123", {"pipeline/runid": "r"}, "unit"),
        ("tekton-pipelinerun", "a-main-pod", {"tekton.dev/pipelineRun": "a"}, "unit"),
        ("tekton-pipelinerun", "a-0", {"app.kubernetes.io/component": "affinity-assistant"}, "coordinator"),
        ("tekton-taskrun", "a-pod", {"tekton.dev/taskRun": "a"}, "unit"),
        ("rayjob", "a-head", {"ray.io/node-type": "head"}, "coordinator"),
        ("rayjob", "a-worker", {"ray.io/node-type": "worker"}, "gang"),
        ("rayjob", "a-submitter", {"batch.kubernetes.io/job-name": "a"}, "coordinator"),
        ("spark-application", "a-driver", {"spark-role": "driver"}, "coordinator"),
        ("spark-application", "a-exec-1", {"spark-role": "executor"}, "unit"),
        ("pytorchjob", "a-worker-0", {"training.kubeflow.org/replica-type": "worker"}, "gang"),
        ("mpijob", "a-launcher", {"training.kubeflow.org/replica-type": "launcher"}, "gang"),
        ("pod", "a", {}, "unit"),
    ],
)
def test_a_pod_has_the_role_that_its_engine_gives_it(engine: str, name: str, labels: dict[str, str], role: str) -> None:
    assert ENGINES[engine].pods.role({"metadata": {"name": name, "labels": labels}}) == role


def test_a_pod_without_any_metadata_has_a_role() -> None:
    for engine in ENGINES.values():
        assert engine.pods.role({}) == engine.pods.role({"metadata": {}})
