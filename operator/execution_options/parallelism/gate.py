"""Which executions are held back by gates, and which of their pods are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.api.names import CAPPED, GATE, GATED, GROUP_ANNOTATION, LEFT_TO_KUEUE
from execution_options.engines.paths import lookup, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.api.engine import PodRole
    from execution_options.engines.patch import Operation, Patch
    from execution_options.engines.paths import Path
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.options.levels import Sourced

KUEUE_LABELS: Final = ("kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/managed")
"""https://kueue.sigs.k8s.io/docs/reference/labels-and-annotations/"""
AIRFLOW_LABELS: Final = ("dag_id", "run_id")
"""Together they name a DAG run, whose tasks are bare pods.
https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/kubernetes_executor.html"""

_LABEL: Final = ("metadata", "labels", GATE)
_GATES: Final = ("spec", "schedulingGates")
AIRFLOW_OPERATOR: Final = "kubernetes_pod_operator"
"""Label of the pod that a KubernetesPodOperator makes, while its task's own pod, of the same DAG run, waits for it.
https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/operators.html"""


def holds_back(engine: Engine) -> bool:
    """Whether the operator itself holds back pods of an engine's executions: where that has no limit of its own.

    An execution of one pod never has more than its limit, so that to hold that back would only cost time.
    """
    return not engine.parallelism and not engine.pods.inseparable and not engine.pods.single


def is_capped(cap: Sourced[int] | None) -> bool:
    """Whether there is a cap; 0 says that there is none."""
    return cap is not None and cap.value > 0


def mark(patch: Patch, places: Iterable[Path], engine: Engine, cap: Sourced[int] | None) -> None:
    """Have pods of an execution gated: by the label at ``places``, whose metadata reach them.

    A bare pod that is one of a group is gated itself.
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


def is_unmarked(engine: Engine, labels: Mapping[str, str], cap: Sourced[int] | None) -> bool:
    """Whether an execution that exists is to be marked now, so that pods which it makes from now on are gated."""
    return not engine.is_pod and holds_back(engine) and is_capped(cap) and GATE not in labels


def is_uncounted(labels: Mapping[str, str], annotations: Mapping[str, str], cap: Sourced[int] | None) -> bool:
    """Whether a bare pod that exists should have the label, and has not: its group has a cap only since."""
    return GATE not in labels and is_capped(cap) and bool(group_of(labels, annotations))


def label_of(labels: Mapping[str, str]) -> str:
    """The label of a pod that was created without it."""
    return LEFT_TO_KUEUE if any(label in labels for label in KUEUE_LABELS) else CAPPED


def notes(engine: Engine, execution: Mapping[str, Any], cap: Sourced[int] | None) -> list[str]:
    """What whoever creates an execution should know of its cap."""
    if cap is None or not is_capped(cap):
        return []
    passing = running_timeouts(engine, execution)
    if not holds_back(engine) or not passing:
        return []
    return [f"maxParallelism {cap.value} of {cap.source}: pods wait for their turn, and {passing} passes meanwhile"]


def running_timeouts(engine: Engine, execution: Mapping[str, Any]) -> str:
    """The time-outs of an execution that pass while its pods wait, for people; empty where it has none."""
    found = [(path, value) for path in engine.timeouts if (value := read(execution, path)) is not None]
    return ", ".join(f"{path}={value}" for path, value in found)


def group_of(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """The group of a bare pod, which is one execution as far as parallelism goes; empty for a pod by itself.

    What another pod of a DAG run waits for is none of the group, unless its author says so: that pod has a slot, and
    both would wait for ever.
    """
    group = annotations.get(GROUP_ANNOTATION, "")
    if group or AIRFLOW_OPERATOR in labels:
        return group
    airflow = [labels.get(key, "") for key in AIRFLOW_LABELS]
    return "/".join(airflow) if all(airflow) else ""


def role_of(engines: Engines, owner: tuple[str, str], pod: Mapping[str, Any]) -> PodRole:
    """What a pod is for, by the engines whose executions, or parts of them, are of its controller's kind."""
    concerned = (e for e in engines.values() if owner == (e.group, e.kind) or owner in _parts(e))
    return next((role for engine in concerned if (role := engine.pods.role(pod)) != "unit"), "unit")


def _parts(engine: Engine) -> set[tuple[str, str]]:
    return {(part.group, part.kind) for part in engine.parts}


def gate(patch: Patch, role: PodRole = "unit") -> None:
    """Hold back a pod that is being created; the label says what became of it.

    Coordinators start the others, and those of a gang need each other: to hold one back would be a deadlock.
    One with a nodeName is past scheduling, and the API server refuses the gate; it counts like any other.
    """
    pod = patch.document
    if role != "unit":
        patch.remove(_LABEL)
        return
    labels = lookup(pod, ("metadata", "labels")) or {}
    gates = [entry.get("name", "") for entry in lookup(pod, _GATES) or ()]
    if any(label in labels for label in KUEUE_LABELS) or any(name.startswith("kueue.x-k8s.io/") for name in gates):
        patch.put(_LABEL, LEFT_TO_KUEUE)
    elif lookup(pod, ("spec", "nodeName")):
        patch.put(_LABEL, CAPPED)
    else:
        if GATE not in gates:
            patch.extend(_GATES, [{"name": GATE}])
        patch.put(_LABEL, GATED)


def release(uid: str, *, annotated: bool) -> list[Operation]:
    """The JSON Patch that lets a pod go: only this one, and only where ours is the last gate.

    Args:
        uid: of the pod.
        annotated: whether it says what it waits for, which is not true any more.
    """
    gates = "/spec/schedulingGates"
    said = "/metadata/annotations/execution.dev~1waiting"
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": gates, "value": [{"name": GATE}]},
        {"op": "remove", "path": gates},
        *([{"op": "remove", "path": said}] if annotated else []),
    ]
