"""Executions of launch plans are those that the engines' controllers create, in all fields that options read."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import UNSET

from execution_options.api.meta import ObjectMeta
from execution_options.engines.facts import Role, execution_of, launch_plan, role
from execution_options.engines.launched import launched
from execution_options.engines.registry import builtin_engines

if TYPE_CHECKING:
    from execution_options.engines.profile import Engine

ENGINES = builtin_engines()
PLANS = [(engine, plan) for engine in ENGINES.values() for plan in engine.launch_plans]
META = {"name": "nightly", "namespace": "ml", "labels": {"of": "plan"}, "annotations": {"execution.dev/options": "own"}}
MANIFESTS: dict[str, Any] = {
    "CronJob": {"jobTemplate": {"metadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}}, "spec": {"x": 1}}},
    "CronWorkflow": {"workflowMetadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}}, "workflowSpec": {"x": 1}},
    "ScheduledSparkApplication": {"template": {"x": 1}},
    "RayCronJob": {"jobTemplate": {"x": 1}},
}
"""Specs as https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1/,
https://argo-workflows.readthedocs.io/en/latest/fields/#cronworkflowspec
and the APIs of the Spark operator and of KubeRay have them."""
GIVEN = {
    "CronJob": {"labels": {"a": "1"}, "annotations": {"b": "2"}},
    "CronWorkflow": {"labels": {"a": "1"}, "annotations": {"b": "2"}},
    # All labels of the plan, and none of its annotations (controller/scheduledsparkapplication of the Spark operator).
    "ScheduledSparkApplication": {"labels": {"of": "plan"}},
    "RayCronJob": {},
}


def manifest(plan: Any) -> dict[str, Any]:
    version = f"{plan.group}/{plan.version}"
    return {"apiVersion": version, "kind": plan.kind, "metadata": META, "spec": MANIFESTS[plan.kind]}


@pytest.mark.parametrize(("engine", "plan"), PLANS, ids=lambda one: one.kind)
def test_every_launch_plan_says_what_it_starts(engine: Engine, plan: Any) -> None:
    document = manifest(plan)
    before = copy.deepcopy(document)
    made = launched(engine, plan, document)
    assert made is not None
    assert (made["apiVersion"], made["kind"]) == (f"{engine.group}/{engine.version}", engine.kind)
    assert made["spec"] == {"x": 1}
    metadata = made["metadata"]
    assert {key: metadata[key] for key in ("labels", "annotations") if key in metadata} == GIVEN[plan.kind]
    assert (metadata["generateName"], metadata["namespace"]) == ("nightly-", "ml")
    # It is started by that launch plan, whose reference is not its own.
    parsed = msgspec.convert(metadata, ObjectMeta)
    assert role(ENGINES, engine, parsed) is Role.LAUNCHED
    of = launch_plan(engine, parsed, META["annotations"])  # type: ignore[arg-type]
    assert of is not None
    execution = execution_of(engine, parsed, "ml", {}, of)
    assert execution.reference is None
    assert of.reference is not None
    assert [str(target) for target in of.reference.targets] == ["own"]
    # Nothing of it is the plan's own.
    made["spec"]["y"] = made["metadata"].setdefault("labels", {})["y"] = "2"
    assert document == before


def test_what_is_not_described_or_not_there() -> None:
    job = ENGINES["job"]
    (plan,) = job.launch_plans
    bare = launched(job, plan, {"apiVersion": "batch/v1", "kind": "CronJob"})
    assert bare is not None
    assert (bare["spec"], bare["metadata"]["generateName"]) == ({}, "-")
    assert launched(job, msgspec.structs.replace(plan, spec=UNSET), manifest(plan)) is None
