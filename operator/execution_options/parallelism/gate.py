"""Which executions are held back by gates, and which of their pods are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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
"""What Kueue's labels and gates begin with. https://kueue.sigs.k8s.io/docs/reference/labels-and-annotations/"""
KUEUE_MANAGED: Final = f"{KUEUE}managed"
"""Label that Kueue's webhook writes, with ``true``; the name of a queue is written by anybody, Kueue or not."""
AIRFLOW_LABELS: Final = ("dag_id", "run_id")
"""Together they name a DAG run, whose tasks are bare pods.
https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/kubernetes_executor.html"""
AIRFLOW_OPERATOR: Final = "kubernetes_pod_operator"
"""Label of the pod that a KubernetesPodOperator makes, while its task's own pod, of the same DAG run, waits for it.
https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/operators.html"""

_LABEL: Final = ("metadata", "labels", GATE)
_GATES: Final = ("spec", "schedulingGates")
_TO_GATES: Final = "/spec/schedulingGates"


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


def label_of(labels: Mapping[str, str]) -> str:
    """The label of a pod that was created without it."""
    return LEFT_TO_KUEUE if labels.get(KUEUE_MANAGED) == "true" else CAPPED


def is_kueues(gates: Iterable[str]) -> bool:
    """Whether Kueue has a pod with these gates, and decides when it runs."""
    return any(gate.startswith(KUEUE) for gate in gates)


def refuses(engine: Engine) -> bool:
    """Whether pods of an engine's executions may be refused for the sake of a quota: they come again then."""
    return not engine.is_pod and engine.pods.retries_exceeded_quota


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
    One with a nodeName is past scheduling, and the API server refuses the gate; it counts like any other. One that
    Kueue has is left to it; where Kueue's webhook comes after ours, that is seen later (:func:`leave_to_kueue`).
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
    """The JSON Patch that lets a pod go: only this one, and only where ours is the last gate.

    Args:
        uid: of the pod.
        annotated: whether it says what it waits for, which is not true any more.
    """
    said = "/metadata/annotations/execution.dev~1waiting"
    return [
        *_tests(uid, [GATE]),
        {"op": "remove", "path": _TO_GATES},
        *([{"op": "remove", "path": said}] if annotated else []),
    ]


def leave_to_kueue(uid: str, gates: Sequence[str]) -> list[Operation]:
    """The JSON Patch that leaves a pod to Kueue: only this one, and only while Kueue holds it back.

    Without that test it would let a pod run that Kueue has let go meanwhile, and that has no slot.

    Args:
        uid: of the pod.
        gates: all that it has, ours and Kueue's among them.
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
