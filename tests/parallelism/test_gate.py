"""Which executions are marked, and which of their pods get the gate."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from execution_options.api.names import CAPPED, GATE, GATED, LEFT_TO_KUEUE
from execution_options.engines.patch import Patch
from execution_options.engines.places import metadata_places
from execution_options.engines.registry import builtin_engines
from execution_options.options.levels import Level, Source, Sourced
from execution_options.parallelism import gate
from support.rfc6902 import apply
from support.workloads import POD, pod

ENGINES = builtin_engines()
CAP = Sourced(3, Source(Level.NAMESPACE_DEFAULT, "ExecutionOptions", "o"))
OURS = [{"name": GATE}]
RUN: dict[str, Any] = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "r"}, "spec": {}}
TASK_RUN = ("tekton.dev", "TaskRun")


def gated(document: dict[str, Any], role: Any = "unit") -> dict[str, Any]:
    patch = Patch(copy.deepcopy(document))
    gate.gate(patch, role)
    after = apply(document, patch.operations)
    assert after == patch.document
    return after


def label(document: dict[str, Any]) -> str | None:
    found: str | None = document["metadata"].get("labels", {}).get(GATE)
    return found


def test_engines_with_a_limit_of_their_own_and_gangs_are_not_held_back() -> None:
    held = {engine.name for engine in ENGINES.values() if gate.holds_back(engine)}
    assert held >= {"tekton-pipelinerun", "pod", "spark-application"}
    assert not held & {
        "tekton-taskrun",
        "job",
        "argo-workflow",
        "jobset",
        "rayjob",
        "pytorchjob",
        "mpijob",
    }


@pytest.mark.parametrize(("cap", "expected"), [(CAP, CAPPED), (Sourced(0, CAP.source), None), (None, None)])
def test_an_execution_is_marked_if_it_has_a_cap(cap: Sourced[int] | None, expected: str | None) -> None:
    engine = ENGINES["tekton-pipelinerun"]
    patch = Patch(copy.deepcopy(RUN))
    gate.mark(patch, metadata_places(engine, RUN), engine, cap)
    assert label(patch.document) == expected


def test_a_bare_pod_is_gated_only_as_one_of_a_group() -> None:
    grouped: list[tuple[dict[str, Any], bool]] = [
        (pod(), False),
        (pod(annotations={"execution.dev/group": "g"}), True),
        (pod(labels={"dag_id": "d", "run_id": "r"}), True),
        (pod(labels={"dag_id": "d"}), False),
        # The task's own pod has a slot and waits for this one: that would be a deadlock.
        (pod(labels={"dag_id": "d", "run_id": "r", "kubernetes_pod_operator": "True"}), False),
        (pod(labels={"kubernetes_pod_operator": "True"}, annotations={"execution.dev/group": "g"}), True),
    ]
    for document, expected in grouped:
        patch = Patch(copy.deepcopy(document))
        gate.mark(patch, [("metadata",)], POD, CAP)
        assert (label(patch.document) == GATED) is expected
        assert (patch.document["spec"].get("schedulingGates") == OURS) is expected


def test_the_gate_is_added_once_beside_those_of_others() -> None:
    other = {"name": "example.com/other"}
    assert gated(pod())["spec"]["schedulingGates"] == OURS
    after = gated(pod(schedulingGates=[other]))
    assert after["spec"]["schedulingGates"] == [other, *OURS]
    assert gated(after) == after


@pytest.mark.parametrize("role", ["coordinator", "gang"])
def test_coordinators_and_gangs_are_neither_gated_nor_labelled(role: str) -> None:
    after = gated(pod(labels={GATE: CAPPED}), role)
    assert label(after) is None
    assert "schedulingGates" not in after["spec"]


def test_a_pod_with_a_node_takes_a_slot_but_is_not_gated() -> None:
    after = gated(pod(labels={GATE: CAPPED}, nodeName="n"))
    assert label(after) == CAPPED
    assert "schedulingGates" not in after["spec"]


KUEUES = {"name": "kueue.x-k8s.io/admission"}


def test_a_pod_that_kueue_holds_is_left_to_it() -> None:
    document = pod(schedulingGates=[KUEUES])
    after = gated(document)
    assert label(after) == LEFT_TO_KUEUE
    assert after["spec"] == document["spec"]


@pytest.mark.parametrize("name", ["kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/managed"])
def test_a_pod_with_only_a_label_of_kueues_waits(name: str) -> None:
    after = gated(pod(labels={name: "true"}))
    assert label(after) == GATED
    assert after["spec"]["schedulingGates"] == OURS


def test_the_label_of_kueues_webhook_marks_its_pods() -> None:
    assert gate.label_of({"kueue.x-k8s.io/managed": "true"}) == LEFT_TO_KUEUE
    assert gate.label_of({"kueue.x-k8s.io/queue-name": "q"}) == CAPPED
    assert gate.label_of({"kueue.x-k8s.io/managed": "false"}) == CAPPED


@pytest.mark.parametrize("gates", [[*OURS, KUEUES], [KUEUES, {"name": "example.com/other"}, *OURS]])
def test_leaving_a_pod_to_kueue_removes_only_our_gate_and_only_while_kueue_holds_it(gates: list[Any]) -> None:
    document: dict[str, Any] = {
        "metadata": {"uid": "u", "labels": {GATE: GATED}},
        "spec": {"schedulingGates": gates},
    }
    operations = gate.leave_to_kueue("u", [one["name"] for one in gates])
    after = apply(document, operations)
    assert label(after) == LEFT_TO_KUEUE
    assert after["spec"]["schedulingGates"] == [one for one in gates if one not in OURS]
    released_by_kueue = {**document, "spec": {"schedulingGates": [one for one in gates if one != KUEUES]}}
    another = {**document, "metadata": {**document["metadata"], "uid": "v"}}
    for changed in (after, released_by_kueue, another):
        with pytest.raises(AssertionError):
            apply(changed, operations)


def test_the_engine_of_a_pods_controller_decides_its_role() -> None:
    assistant = pod(labels={"app.kubernetes.io/component": "affinity-assistant"})
    assert gate.role_of(ENGINES, ("apps", "StatefulSet"), assistant) == "coordinator"
    assert gate.role_of(ENGINES, TASK_RUN, pod()) == "unit"
    assert gate.role_of(ENGINES, ("example.com", "Unknown"), assistant) == "unit"


def test_only_pods_of_engines_that_try_again_are_refused_for_a_quota() -> None:
    refused = {engine.name for engine in ENGINES.values() if gate.refuses(engine)}
    assert refused == {"tekton-pipelinerun"}


def test_time_outs_that_pass_while_pods_wait_are_named() -> None:
    engine = ENGINES["tekton-pipelinerun"]
    run = {**RUN, "spec": {"timeouts": {"pipeline": "1h"}}}
    (note,) = gate.notes(engine, run, CAP)
    assert "spec.timeouts.pipeline=1h passes meanwhile" in note
    assert gate.notes(engine, RUN, CAP) == gate.notes(engine, run, None) == []
    tasks = {**RUN, "spec": {"pipelineSpec": {"tasks": [{"name": "a"}, {"name": "b", "timeout": "5m"}]}}}
    (note,) = gate.notes(engine, tasks, CAP)
    assert "tasks[*].timeout=5m passes meanwhile" in note


@pytest.mark.parametrize(
    ("labels", "annotations", "text"),
    [
        ({"dag_id": "etl", "run_id": "r1"}, {}, "Airflow's [scheduler] task_queued_timeout (600 s unless it says"),
        (
            {"dag_id": "etl", "run_id": "r1", "kubernetes_pod_operator": "True"},
            {"execution.dev/group": "etl"},
            "startup_timeout_seconds of its KubernetesPodOperator (120 s unless it says",
        ),
        ({"dag_id": "etl", "run_id": "r1", "kubernetes_pod_operator": "True"}, {}, ""),
        ({"team": "search"}, {"execution.dev/group": "etl"}, ""),
        ({}, {}, ""),
    ],
)
def test_the_time_out_of_who_waits_for_a_bare_pod_is_named(
    labels: dict[str, str], annotations: dict[str, str], text: str
) -> None:
    found = gate.notes(ENGINES["pod"], pod(labels=labels, annotations=annotations), CAP)
    assert [text in note for note in found] == ([True] if text else [])


def test_an_execution_of_one_pod_is_not_marked() -> None:
    engine = ENGINES["tekton-taskrun"]
    run = {**RUN, "kind": "TaskRun"}
    patch = Patch(copy.deepcopy(run))
    gate.mark(patch, metadata_places(engine, run), engine, CAP)
    assert patch.document == run


def test_a_release_tests_the_uid_and_that_ours_is_the_last_gate() -> None:
    document = {
        "metadata": {"uid": "u", "annotations": {"execution.dev/waiting": "w"}},
        "spec": {"schedulingGates": OURS},
    }
    after = apply(document, gate.release("u", annotated=True))
    assert after == {"metadata": {"uid": "u", "annotations": {}}, "spec": {}}
    tests = [operation for operation in gate.release("u", annotated=False) if operation["op"] == "test"]
    assert {operation["path"]: operation["value"] for operation in tests} == {
        "/metadata/uid": "u",
        "/spec/schedulingGates": OURS,
    }
