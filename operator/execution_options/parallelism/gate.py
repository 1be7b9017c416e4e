"""Which executions are held back by gates, and which of their pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.api.meta import kind_key
from execution_options.api.names import CAPPED, GATE, GATED, GROUP_ANNOTATION, LEFT_TO_KUEUE
from execution_options.engines.patch import pointer
from execution_options.engines.paths import lookup, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from execution_options.api.engine_pods import PodRole
    from execution_options.engines.patch import Operation, Patch
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.options.levels import Sourced

KUEUE: Final = "kueue.x-k8s.io/"
"""Prefix of Kueue's labels and gates. https://kueue.sigs.k8s.io/docs/reference/labels-and-annotations/"""
KUEUE_MANAGED: Final = f"{KUEUE}managed"
"""Label that Kueue's webhook sets to ``true``. The label with the name of a queue can be written by anybody."""
AIRFLOW_LABELS: Final = ("dag_id", "run_id")
"""Labels that together identify a DAG run, whose tasks are bare pods.
https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/kubernetes_executor.html"""
AIRFLOW_OPERATOR: Final = "kubernetes_pod_operator"
"""Label of the pod that a KubernetesPodOperator creates. The task's own pod, of the same DAG run, waits for it.
https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/operators.html"""

_LABEL: Final = ("metadata", "labels", GATE)
_GATES: Final = ("spec", "schedulingGates")
_TO_GATES: Final = "/spec/schedulingGates"


def holds_back(engine: Engine) -> bool:
    """Whether the operator holds back pods of an engine's executions, because the engine has no limit of its own.

    An execution of one pod never has more than its limit, so holding it back would only cost time.
    """
    return not engine.parallelism and not engine.pods.inseparable and not engine.pods.single


def is_capped(cap: Sourced[int] | None) -> bool:
    """Whether there is a cap; 0 means none."""
    return cap is not None and cap.value > 0


def mark(patch: Patch, places: Iterable[Path], engine: Engine, cap: Sourced[int] | None) -> None:
    """Mark an execution, so that its pods get the gate. A bare pod that is in a group gets the gate itself.

    Args:
        patch: patch of the execution.
        places: paths of metadata that the engine copies to pods; they get the label.
        engine: engine of the execution.
        cap: its cap; ``None`` if options declare none.
    """
    if not is_capped(cap):
        return
    if engine.is_pod:
        labels, annotations = (lookup(patch.document, ("metadata", kind)) or {} for kind in ("labels", "annotations"))
        if group_of(labels, annotations):
            gate(patch)
    elif holds_back(engine):
        for place in places:
            patch.put((*place, "labels", GATE), CAPPED)


def label_of(labels: Mapping[str, str]) -> str:
    """The value of our label for a pod that was created without the label."""
    return LEFT_TO_KUEUE if labels.get(KUEUE_MANAGED) == "true" else CAPPED


def is_kueues(gates: Iterable[str]) -> bool:
    """Whether one of these gates is Kueue's, so that Kueue decides when the pod runs."""
    return any(gate.startswith(KUEUE) for gate in gates)


def refuses(engine: Engine) -> bool:
    """Whether pods of an engine's executions may be refused to spare a quota, because the engine tries again."""
    return not engine.is_pod and engine.pods.retries_exceeded_quota


def notes(engine: Engine, execution: Mapping[str, Any], cap: Sourced[int] | None) -> list[str]:
    """Warnings about its cap for the author of an execution.

    Args:
        engine: engine of the execution.
        execution: the execution as JSON.
        cap: its cap; ``None`` if options declare none.
    """
    if cap is None or not is_capped(cap):
        return []
    passing = running_timeouts(engine, execution)
    if not (engine.is_pod or holds_back(engine)) or not passing:
        return []
    return [f"maxParallelism {cap.value} of {cap.source}: pods wait for their turn, and {passing} passes meanwhile"]


def running_timeouts(engine: Engine, execution: Mapping[str, Any]) -> str:
    """The time-outs of an execution that keep running while its pods wait, for people; empty if it has none.

    Args:
        engine: engine of the execution.
        execution: the execution as JSON.
    """
    if engine.is_pod:
        labels, annotations = (lookup(execution, ("metadata", kind)) or {} for kind in ("labels", "annotations"))
        return _launchers_timeout(labels) if group_of(labels, annotations) else ""
    found = [(path, value) for path in engine.timeouts if (value := read(execution, path)) is not None]
    return ", ".join(f"{path}={value}" for path, value in found)


def _launchers_timeout(labels: Mapping[str, str]) -> str:
    """The time-out of the program that created a bare pod and waits until it runs; empty if none is known.

    https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#task-queued-timeout
    """
    if AIRFLOW_OPERATOR in labels:
        return "startup_timeout_seconds of its KubernetesPodOperator (120 s unless it says otherwise)"
    if all(key in labels for key in AIRFLOW_LABELS):
        return "Airflow's [scheduler] task_queued_timeout (600 s unless it says otherwise)"
    return ""


def group_of(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """The group of a bare pod, which shares one limit; empty if the pod is in no group.

    A pod that another pod of the DAG run waits for is not in the group, unless its author puts it there. The other pod
    has a slot, and both would wait for ever.

    Args:
        labels: labels of the pod.
        annotations: annotations of the pod.
    """
    group = annotations.get(GROUP_ANNOTATION, "")
    if group or AIRFLOW_OPERATOR in labels:
        return group
    airflow = [labels.get(key, "") for key in AIRFLOW_LABELS]
    return "/".join(airflow) if all(airflow) else ""


def role_of(engines: Engines, owner: tuple[str, str], pod: Mapping[str, Any]) -> PodRole:
    """The role of a pod, according to the engines whose executions or parts have the kind of its controller.

    Args:
        engines: all engines.
        owner: API group and kind of the pod's controller.
        pod: the pod as JSON.
    """
    key = kind_key(*owner)
    matching = (e for e in engines.values() if key == kind_key(e.group, e.kind) or key in _parts(e))
    return next((role for engine in matching if (role := engine.pods.role(pod)) != "unit"), "unit")


def _parts(engine: Engine) -> set[tuple[str, str]]:
    return {kind_key(part.group, part.kind) for part in engine.parts}


def gate(patch: Patch, role: PodRole = "unit") -> None:
    """Hold back a pod that is being created. The label records the result.

    Coordinators start other pods, and the pods of a gang need each other, so holding one back would be a deadlock. A
    pod with a nodeName is already scheduled and the API server refuses the gate, but it takes a slot. A pod of Kueue's
    is left to Kueue. If Kueue's webhook runs after ours, that shows only later (:func:`leave_to_kueue`).

    Args:
        patch: patch of the pod.
        role: role of the pod.
    """
    pod = patch.document
    if role != "unit":
        patch.remove(_LABEL)
        return
    gates = [entry.get("name", "") for entry in lookup(pod, _GATES) or ()]
    if is_kueues(gates):
        patch.put(_LABEL, LEFT_TO_KUEUE)
    elif lookup(pod, ("spec", "nodeName")):
        patch.put(_LABEL, CAPPED)
    else:
        if GATE not in gates:
            patch.extend(_GATES, [{"name": GATE}])
        patch.put(_LABEL, GATED)


def release(uid: str, *, annotated: bool) -> list[Operation]:
    """The JSON Patch that releases a pod. It tests the uid, and that ours is the last gate.

    Args:
        uid: uid of the pod.
        annotated: whether the pod has the annotation about its wait, which the patch then removes.
    """
    annotation = "/metadata/annotations/execution.dev~1waiting"
    return [
        *_tests(uid, [GATE]),
        {"op": "remove", "path": _TO_GATES},
        *([{"op": "remove", "path": annotation}] if annotated else []),
    ]


def leave_to_kueue(uid: str, gates: Sequence[str]) -> list[Operation]:
    """The JSON Patch that leaves a pod to Kueue. It tests the uid, and that Kueue still holds the pod back.

    Without the second test, the patch could start a pod without a slot that Kueue has released in the meantime.

    Args:
        uid: uid of the pod.
        gates: names of all its gates, with ours and Kueue's.
    """
    return [
        *_tests(uid, gates),
        {"op": "remove", "path": f"{_TO_GATES}/{gates.index(GATE)}"},
        {"op": "replace", "path": pointer(_LABEL), "value": LEFT_TO_KUEUE},
    ]


def _tests(uid: str, gates: Iterable[str]) -> list[Operation]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": _TO_GATES, "value": [{"name": gate} for gate in gates]},
    ]
