"""A board, and the events of executions, their parts and pods."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.api.keys import ExecutionKey, GroupKey
from execution_options.controller.cache.objects import followed
from execution_options.controller.cache.optionsindex import OptionsIndex
from execution_options.controller.cache.tracker import Tracker
from execution_options.engines.registry import builtin_engines
from execution_options.parallelism.board import Board
from execution_options.parallelism.pods import GatedPod

if TYPE_CHECKING:
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache.objects import EngineObject
    from execution_options.parallelism.groups import Group


NAMESPACE = "team"
OPTIONS = "0-0-0"


class Listening:
    """Is not interested."""

    def changed(self, group: Group) -> None:
        """Nothing is released here."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@dataclass
class Cluster:
    """A board that gets one event at a time."""

    tracker: Tracker = field(default_factory=Tracker)
    executions: dict[str, EngineObject] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    pods: dict[str, GatedPod] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world: Any = SimpleNamespace(tracker=self.tracker, execution=lambda key: self.executions.get(key.name))
        kube: Any = None
        self.board = Board(world, OptionsIndex(kube), Listening())

    def execution(self, name: str, *, there: bool) -> None:
        key = ExecutionKey("tekton-pipelinerun", NAMESPACE, name)
        item = execution(name) if there else None
        self.tracker.put(key, item)
        metadata: ObjectMeta = execution(name).metadata
        if item is None:
            self.executions.pop(name, None)
        else:
            self.executions[name] = item
        self.board.execution_changed(key, metadata.uid, (metadata.labels or {})["execution.dev/id"])

    def part(self, uid: str, owner: str, *, there: bool) -> None:
        self.tracker.put_part(uid, owner, add=there)
        if there:
            self.parts[uid] = owner
        else:
            self.parts.pop(uid, None)
        self.board.part_changed(uid, NAMESPACE, f"id-{uid.split('.')[0]}")

    def pod(self, name: str, pod: GatedPod | None) -> None:
        old = self.pods.pop(name, None)
        if pod is not None:
            self.pods[name] = pod
        self.board.pod_changed(old, pod)

    def again(self) -> Cluster:
        """A new cluster with the remaining objects, in the order of their dependencies."""
        other = Cluster()
        for name in self.executions:
            other.execution(name, there=True)
        for uid, owner in self.parts.items():
            other.part(uid, owner, there=True)
        for name, pod in self.pods.items():
            other.pod(name, pod)
        return other

    def shown(self) -> dict[GroupKey, tuple[set[str], int | None]]:
        groups = self.board.groups.items()
        return {
            key: ({pod.name for pod in group.slots.pods()}, None if group.cap is None else group.cap.value)
            for key, group in groups
        }


def snapshot(cap: int) -> str:
    source = {"level": 2, "kind": "ExecutionOptions", "name": "o", "uid": OPTIONS, "generation": 1}
    layer = {"source": source, "spec": {"maxParallelism": cap}}
    return msgspec.json.encode({"id": "x", "layers": [layer]}).decode()


def execution(name: str) -> EngineObject:
    annotations = {"execution.dev/snapshot": snapshot(len(name)).replace('"x"', f'"id-{name}"')}
    labels = {"execution.dev/id": f"id-{name}"}
    metadata = {"name": name, "namespace": NAMESPACE, "uid": name, "labels": labels, "annotations": annotations}
    item: EngineObject = msgspec.convert({"metadata": metadata}, followed(builtin_engines()["tekton-pipelinerun"]))
    return item


OUR_GATE = ("execution.dev/max-parallelism",)


def pod(
    name: str,
    *,
    namespace: str = NAMESPACE,
    owner: str = "",
    identifier: str = "",
    group: str = "",
    cap: int = 1,
    gates: tuple[str, ...] = OUR_GATE,
    labels: dict[str, str] | None = None,
    **more: Any,
) -> GatedPod:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid of {name}",
        "labels": {"execution.dev/id": identifier or ("" if owner else f"id of {name}")}
        | (labels or {"execution.dev/max-parallelism": "gated"}),
        "annotations": {"execution.dev/group": group, "execution.dev/snapshot": snapshot(cap)},
        "resourceVersion": "1",
    }
    if owner:
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": owner, "controller": True}]
    spec = {"schedulingGates": [{"name": gate} for gate in gates]}
    return msgspec.json.decode(
        msgspec.json.encode({"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}} | more), type=GatedPod
    )
