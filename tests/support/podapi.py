"""Pods as the API server has them, and a controller's part that follows them, both in memory.

Requests are answered as the API server does, with selectors, pages, preconditions and refusals. The events of the watch
of labelled pods are delivered when a test asks for them, because anything may happen in between.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.api.keys import ExecutionKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import GATE, GROUP_ANNOTATION, ID_LABEL, SNAPSHOT_ANNOTATION
from execution_options.controller.cache.objects import followed
from execution_options.controller.cache.optionsindex import OptionsIndex
from execution_options.controller.cache.tracker import Tracker
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import METADATA_LIST, ApiError
from execution_options.parallelism.board import Board
from execution_options.parallelism.pods import GatedPod
from support.rfc6902 import apply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.engines.patch import Operation

Document = dict[str, Any]
TEAM, KIND = "team", "ExecutionOptions"
ENGINES = builtin_engines()
RUN = "tekton-pipelinerun"
PODS = f"/api/v1/namespaces/{TEAM}/pods"


def snapshot(cap: int | None, generation: int = 1, options: str = "o") -> str:
    """The snapshot of an execution with these options, whose name equals their uid."""
    source = {"level": 2, "kind": KIND, "name": options, "uid": options, "generation": generation}
    spec = {} if cap is None else {"maxParallelism": cap}
    return json.dumps({"id": "x", "layers": [{"source": source, "spec": spec}]})


def options_document(name: str, cap: int | None, generation: int = 1) -> Document:
    """An options object."""
    spec = {} if cap is None else {"maxParallelism": cap}
    metadata = {
        "name": name,
        "namespace": TEAM,
        "uid": name,
        "generation": generation,
        "resourceVersion": str(generation),
    }
    return {"apiVersion": "execution.dev/v1beta1", "kind": KIND, "metadata": metadata, "spec": spec}


class PodApi:
    """The pods of a namespace; reading and writing, as ``Kube`` and ``Writer`` do."""

    def __init__(self) -> None:
        self.pods: dict[str, Document] = {}
        self.lists: list[str] = []
        """Label selectors."""
        self.patches: list[str] = []
        self.refused: dict[str, ApiError] = {}
        """What patches of a pod are answered with."""
        self.page = 500
        self._uid = 0

    def create(self, name: str, *, labels: Mapping[str, str], **metadata: Any) -> Document:
        """A pod that runs, or has gates if it has the label ``gated``."""
        self._uid += 1
        gates = [{"name": GATE}] if labels.get(GATE) == "gated" else []
        self.pods[name] = {
            "metadata": {
                "name": name,
                "namespace": TEAM,
                "uid": f"{name}-{self._uid}",
                "labels": dict(labels),
                "resourceVersion": "1",
                **metadata,
            },
            "spec": {"schedulingGates": gates},
            "status": {"phase": "Pending" if gates else "Running"},
        }
        return self.pods[name]

    def end(self, name: str) -> None:
        """A pod succeeds."""
        self.pods[name]["status"]["phase"] = "Succeeded"

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None, accept: str = "", seconds: float = 0
    ) -> bytes:
        await asyncio.sleep(0)
        if path != PODS:
            return msgspec.json.encode(self._found(path.removeprefix(f"{PODS}/")))
        assert params is not None
        assert params["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"
        assert accept == METADATA_LIST
        begin = int(params.get("continue", 0))
        if not begin:
            self.lists.append(params["labelSelector"])
        matching = [pod for pod in self.pods.values() if _matches(pod, params["labelSelector"])]
        items = [{"metadata": pod["metadata"]} for pod in matching[begin : begin + self.page]]
        more = {"continue": str(begin + self.page)} if begin + self.page < len(matching) else {}
        return msgspec.json.encode({"metadata": more, "items": items})

    async def patch(self, path: str, operations: list[Operation]) -> ObjectMeta:
        await asyncio.sleep(0)
        name = path.removeprefix(f"{PODS}/")
        self.patches.append(name)
        found = self._found(name)
        if name in self.refused:
            raise self.refused[name]
        try:
            self.pods[name] = apply(found, operations)
        except (AssertionError, KeyError) as error:
            raise ApiError(422, "Invalid", "the test failed") from error
        return msgspec.convert(self.pods[name]["metadata"], ObjectMeta)

    def _found(self, name: str) -> Document:
        if name not in self.pods:
            raise ApiError(404, "NotFound", name)
        return self.pods[name]


def _matches(pod: Document, selector: str) -> bool:
    labels = pod["metadata"]["labels"]
    if pod["status"]["phase"] in ("Succeeded", "Failed"):
        return False
    for part in selector.split(","):
        key, equals, value = part.partition("=")
        if (key.startswith("!") and key[1:] in labels) or (equals and labels.get(key) != value):
            return False
        if not key.startswith("!") and key not in labels:
            return False
    return True


class Watcher:
    """What of a controller follows pods that may wait, put together as ``Parallelism`` does; one step at a time."""

    def __init__(self, api: PodApi) -> None:
        kube: Any = None
        self.api = api
        self.index = OptionsIndex(kube)
        self.engines = ENGINES
        self.tracker = Tracker()
        self.runs: dict[ExecutionKey, Any] = {}
        self._watched: dict[str, GatedPod] = {}
        world: Any = self
        listener: Any = self
        self.board = Board(world, self.index, listener)

    # The world.

    def execution(self, key: ExecutionKey) -> Any:
        return self.runs.get(key)

    def run(self, name: str, cap: int | None = 2, *, labels: Mapping[str, str] | None = None) -> ExecutionKey:
        """A PipelineRun that got this limit from options ``o`` when it was created."""
        return self.stamped(name, snapshot(cap), labels=labels)

    def stamped(self, name: str, frozen: str, *, labels: Mapping[str, str] | None = None) -> ExecutionKey:
        """A PipelineRun with a snapshot."""
        annotations = {SNAPSHOT_ANNOTATION: frozen.replace('"x"', f'"id-{name}"')}
        given = {ID_LABEL: f"id-{name}", GATE: "capped"} if labels is None else labels
        metadata = {"name": name, "namespace": TEAM, "uid": name, "labels": given, "annotations": annotations}
        key = ExecutionKey(RUN, TEAM, name)
        self.runs[key] = msgspec.convert({"metadata": metadata}, followed(ENGINES[RUN]))
        self.tracker.put(key, self.runs[key])
        self.board.execution_changed(key, name, f"id-{name}")
        return key

    # Nothing listens to the board.

    def __getattr__(self, name: str) -> Any:
        if name in ("changed", "unknown", "unsure", "left_to_kueue", "to_be_left"):
            return lambda *_: None
        raise AttributeError(name)

    # What happens.

    def options(self, name: str, cap: int | None, generation: int) -> None:
        """Options are edited, and the controller reads them."""
        self.index.hand(KIND, options_document(name, cap, generation))
        self.board.options_changed(name)

    def watch(self) -> None:
        """The watch of labelled pods comes up to date."""
        there = {}
        for pod in self.api.pods.values():
            if _matches(pod, GATE):
                found = msgspec.convert(pod, GatedPod)
                there[found.facts.uid] = found
        for uid in {**self._watched, **there}:
            self.board.pod_changed(self._watched.get(uid), there.get(uid))
        self._watched = there


def bare(
    api: PodApi, name: str, group: str, cap: int | None, generation: int = 1, state: str = "", **more: Any
) -> None:
    """A bare pod of a group that was admitted by options ``o`` as they were."""
    labels = {ID_LABEL: f"id-{name}", **more.pop("labels", {})} | ({GATE: state} if state else {})
    annotations = {GROUP_ANNOTATION: group, SNAPSHOT_ANNOTATION: snapshot(cap, generation)}
    api.create(name, labels=labels, annotations=annotations, **more)


def owned(
    api: PodApi, name: str, run: str, *, identified: bool = True, labels: Mapping[str, str] | None = None
) -> None:
    """A pod of a run."""
    owner = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": run, "uid": run, "controller": True}
    found = {"tekton.dev/pipelineRun": run, **(labels or {})} | ({ID_LABEL: f"id-{run}"} if identified else {})
    api.create(name, labels=found, ownerReferences=[owner])
