"""Pods as the API server has them, and a controller's part that counts them, both in memory.

Requests are answered as the API server does: selectors, pages, preconditions, refusals; what the watch of labelled pods
tells is told when a test says so, because between the two anything may happen.
"""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.api.names import GATE, GROUP_ANNOTATION, ID_LABEL, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.index import OptionsIndex
from execution_options.controller.objects import ExecutionKey, OptionsKey, PodObject, followed
from execution_options.controller.parallelism.board import Board
from execution_options.controller.parallelism.counting import Counting
from execution_options.controller.parallelism.groups import BARE
from execution_options.controller.parallelism.labelling import Labelling
from execution_options.controller.parallelism.objects import GatedPod, GroupKey
from execution_options.controller.parallelism.reach import Reaches
from execution_options.controller.tracking import Tracker
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import METADATA_LIST, ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.controller.announcements import Announcement
    from execution_options.engines.profile import Engine
    from execution_options.kube.meta import ObjectMeta

Document = dict[str, Any]
TEAM, KIND = "team", "ExecutionOptions"
ENGINES = builtin_engines()
RUN = "tekton-pipelinerun"
PODS = f"/api/v1/namespaces/{TEAM}/pods"


def snapshot(cap: int | None, generation: int = 1, options: str = "o") -> str:
    """What an execution says of the options that it got, which are called like their uid."""
    source = {"level": 2, "kind": KIND, "name": options, "uid": options, "generation": generation}
    spec = {} if cap is None else {"maxParallelism": cap}
    return json.dumps({"id": "x", "layers": [{"source": source, "spec": spec}]})


def said(name: str, cap: int | None, generation: int = 1) -> Document:
    """An options object."""
    spec = {} if cap is None else {"maxParallelism": cap}
    metadata = {"name": name, "namespace": TEAM, "uid": name, "generation": generation, "resourceVersion": "1"}
    return {"apiVersion": "execution.dev/v1beta1", "kind": KIND, "metadata": metadata, "spec": spec}


class PodApi:
    """The pods of a namespace; reading and writing, as ``Kube`` and ``Writer`` do."""

    def __init__(self) -> None:
        self.pods: dict[str, Document] = {}
        self.lists: list[str] = []
        """Label selectors."""
        self.gets: list[str] = []
        self.patches: list[str] = []
        self.refused: dict[str, ApiError] = {}
        """What patches of a pod are answered with."""
        self.unread: dict[str, ApiError] = {}
        """What reading a pod is answered with."""
        self.page = 500
        self.during: Callable[[], None] = lambda: None
        """What happens between a list's moment and its answer."""
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
            name = path.removeprefix(f"{PODS}/")
            self.gets.append(name)
            if name in self.unread:
                raise self.unread[name]
            return msgspec.json.encode(self._found(name))
        assert params is not None
        assert params["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"
        assert accept == METADATA_LIST
        begin = int(params.get("continue", 0))
        if not begin:
            self.lists.append(params["labelSelector"])
        matching = [pod for pod in self.pods.values() if _matches(pod, params["labelSelector"])]
        items = [{"metadata": pod["metadata"]} for pod in matching[begin : begin + self.page]]
        more = {"continue": str(begin + self.page)} if begin + self.page < len(matching) else {}
        answer = msgspec.json.encode({"metadata": more, "items": items})
        self.during()
        await asyncio.sleep(0)
        return answer

    async def merge(self, path: str, body: Document) -> bytes:
        await asyncio.sleep(0)
        name = path.removeprefix(f"{PODS}/")
        self.patches.append(name)
        found = self._found(name)
        if found["metadata"]["uid"] != body["metadata"]["uid"]:
            raise ApiError(409, "Conflict", "the UID in the precondition differs")
        if name in self.refused:
            raise self.refused[name]
        found["metadata"]["labels"] |= body["metadata"]["labels"]
        return msgspec.json.encode(found)

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


class Counter:
    """What of a controller has to do with counting, put together as ``Parallelism`` does; one step at a time."""

    def __init__(self, api: PodApi, index: OptionsIndex | None = None) -> None:
        kube: Any = None
        self.api = api
        self.now = 1000.0
        self.index = index or OptionsIndex(kube)
        self.engines = ENGINES
        self.tracker = Tracker()
        self.runs: dict[ExecutionKey, Any] = {}
        self.seen: dict[str, PodObject] = {}
        """Pods that the controller's other watch has told of, by name."""
        self.pods = SimpleNamespace(get=lambda _, name: self.seen.get(name))
        self.to_count: dict[GroupKey, None] = {}
        self.hinted: list[OptionsKey] = []
        self.events: list[tuple[str, str, str, str]] = []
        self.missed: list[tuple[str, str]] = []
        self._watched: dict[str, GatedPod] = {}
        world: Any = self
        listener: Any = self
        server: Any = api
        recorder: Any = SimpleNamespace(say=self._say)
        latecomers: Any = SimpleNamespace(follow=lambda engine, namespace: self.missed.append((engine.name, namespace)))
        self.board = Board(world, self.index, listener)
        self.labelling = Labelling(server, world, server, recorder, self.board)
        self.reaches = Reaches(self.index, lambda: self.now)
        self.counting = Counting(
            server, world, self.board, self.labelling, self.reaches, latecomers, self.hinted.append
        )

    # The world.

    def execution(self, key: ExecutionKey) -> Any:
        return self.runs.get(key)

    def run(self, name: str, cap: int | None = 2, *, missed: bool = False) -> ExecutionKey:
        """A PipelineRun that carries the label, and got a limit after its creation."""
        annotations = {SNAPSHOT_ANNOTATION: snapshot(None).replace('"x"', f'"id-{name}"')}
        labels = {ID_LABEL: f"id-{name}", GATE: "capped"}
        self.index.put(KIND, msgspec.json.encode(said("o", cap, 2)))
        metadata = {
            "name": name,
            "namespace": TEAM,
            "uid": name,
            "labels": labels,
            "annotations": annotations | ({MISSED_ANNOTATION: "2026-01-01T00:00:00Z"} if missed else {}),
        }
        key = ExecutionKey(RUN, TEAM, name)
        self.runs[key] = msgspec.convert({"metadata": metadata}, followed(ENGINES[RUN]))
        self.tracker.put(key, self.runs[key])
        self.board.execution_changed(key, name, f"id-{name}")
        return key

    # What the board tells.

    def uncounted(self, key: GroupKey) -> None:
        self.to_count[GroupKey(BARE, key.namespace, "") if key.engine == BARE else key] = None

    def __getattr__(self, name: str) -> Any:
        if name in ("releasable", "waiting", "unknown", "unsure", "left_to_kueue", "to_be_left", "settled", "counted"):
            return lambda *_: None
        raise AttributeError(name)

    def _say(self, engine: Engine, metadata: ObjectMeta, what: Announcement) -> None:
        self.events.append((engine.kind, metadata.name, what.reason, what.note))

    # What happens.

    def options(self, name: str, cap: int | None, generation: int) -> None:
        """Options are edited, and the controller reads them."""
        self.index.put(KIND, msgspec.json.encode(said(name, cap, generation)))
        self.board.options_changed(name)

    def watch(self) -> None:
        """The watch of labelled pods comes up to date."""
        there = {}
        for pod in self.api.pods.values():
            if _matches(pod, GATE):
                found = msgspec.convert(pod, GatedPod)
                there[found.facts.uid] = found
        for uid in {**self._watched, **there}:
            old, new = self._watched.get(uid), there.get(uid)
            self.labelling.watched(uid)
            self.board.pod_changed(old, new)
        self._watched = there

    async def count(self) -> list[float | None]:
        """Count what is to be counted, once each; what was answered."""
        keys, self.to_count = list(self.to_count), {}
        return [await self.counting.count(key) for key in keys]

    async def label(self, *names: str) -> list[float | None]:
        """Label these pods, or look at them again."""
        return [await self.labelling.label(self.uid(name)) for name in names]

    def uid(self, name: str) -> str:
        uid: str = self.api.pods[name]["metadata"]["uid"]
        return uid

    def used(self, group: str, engine: str = BARE) -> int:
        """How many slots of a group are in use."""
        return self.board.groups[GroupKey(engine, TEAM, group)].slots.used

    def is_counted(self, group: str, engine: str = BARE) -> bool:
        return self.board.groups[GroupKey(engine, TEAM, group)].counted


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
