"""In whatever order pods, executions and options are seen, the board ends like one that saw only their last states."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import convert

from execution_options.api.keys import ExecutionKey
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import (
    GATE,
    GROUP_ANNOTATION,
    ID_LABEL,
    INLINE_ANNOTATION,
    LIVE_ANNOTATION,
    SNAPSHOT_ANNOTATION,
)
from execution_options.api.resources import OptionsObject
from execution_options.controller.cache.objects import followed
from execution_options.controller.cache.tracker import Tracker
from execution_options.engines.registry import builtin_engines
from execution_options.options.levels import ANNOTATION, Layer, Level, Source
from execution_options.options.live import Live, edited, encode_live
from execution_options.options.snapshot import Snapshot, decode, encode
from execution_options.parallelism.board import Board
from execution_options.parallelism.groups import BLOCKED
from execution_options.parallelism.pods import GatedPod

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import GroupKey, OptionsKey
    from execution_options.parallelism.groups import Group

Document = dict[str, Any]
ENGINES = builtin_engines()
RUN = ENGINES["tekton-pipelinerun"]
TEAM, KIND = "team", "ExecutionOptions"
KUEUES = "kueue.x-k8s.io/admission"
CHANGES = ["release", "others let go", "leave to kueue", "end", "delete", "terminate"]
CAPS = st.sampled_from([None, 0, 1, 2, 3])


class Known:
    """What a controller has seen: the board, and the executions and options that the board reads."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.engines = ENGINES
        self.tracker = Tracker()
        self.executions: dict[ExecutionKey, Any] = {}
        self.options: dict[str, OptionsObject] = {}
        self.pods: dict[str, GatedPod] = {}
        self.board = Board(self, self, self)
        self.doubts: set[tuple[OptionsKey, str]] = set()
        self.left: list[GroupKey] = []

    # The world, and the index of options.

    def execution(self, key: ExecutionKey) -> Any:
        return self.executions.get(key)

    def get(self, key: OptionsKey) -> Any:
        known = self.options.get(key.name)
        return None if known is None else SimpleNamespace(uid=known.uid)

    def find(self, namespace: str) -> Callable[[str, str], OptionsObject | None]:
        return lambda _, name: self.options.get(name) if namespace == TEAM else None

    # The listener of the board.

    def changed(self, group: Group) -> None:
        there = self.board.groups.get(group.key)
        assert there is group or not len(group.slots)

    def unknown(self, key: GroupKey) -> None:
        assert not key.engine

    def unsure(self, key: OptionsKey, uid: str) -> None:
        assert uid, "an annotation is no object"
        self.doubts.add((key, uid))

    def to_be_left(self, pod: GatedPod) -> None:
        assert pod.gates
        assert self.board.slots_of(pod.facts.uid) is None

    def left_to_kueue(self, key: GroupKey) -> None:
        self.left.append(key)

    # Events.

    def see_pod(self, name: str, document: Document | None) -> None:
        old, new = self.pods.pop(name, None), None if document is None else convert(document, GatedPod)
        if new is not None:
            self.pods[name] = new
        if old is not None or new is not None:
            self.board.pod_changed(old, new)

    def see_execution(self, name: str, document: Document | None) -> None:
        key = ExecutionKey(RUN.name, TEAM, name)
        old = self.executions.pop(key, None)
        new = None if document is None else convert(document, followed(RUN))
        if new is not None:
            self.executions[key] = new
        self.tracker.put(key, new)
        item = new or old
        if item is not None:
            self.board.execution_changed(key, item.metadata.uid, (item.metadata.labels or {})[ID_LABEL])

    def see_options(self, name: str, options: OptionsObject | None) -> None:
        old = self.options.pop(name, None)
        if options is not None:
            self.options[name] = options
        for uid in {one.uid for one in (old, options) if one is not None}:
            self.board.options_changed(uid, gone=options is None)

    def find_out(self) -> None:
        """Ask the API server for doubtful options."""
        while self.doubts:
            doubts, self.doubts = self.doubts, set()
            for key, uid in doubts:
                there = self.truth.options.get(key.name)
                if there is None or there.uid != uid:
                    self.board.options_changed(uid, gone=True)

    def shown(self) -> dict[GroupKey, tuple[object, ...]]:
        return {
            key: (
                group.slots.cap,
                group.cap,
                {pod.uid for pod in group.slots.users()},
                [pod.uid for pod in group.slots.line() if not pod.held_otherwise],
                # They come last, in no order.
                {pod.uid for pod in group.slots.line() if pod.held_otherwise},
            )
            for key, group in self.board.groups.items()
        }


class Truth:
    """The objects of the API server."""

    def __init__(self) -> None:
        self.pods: dict[str, Document] = {}
        self.executions: dict[str, Document] = {}
        self.options: dict[str, OptionsObject] = {}


class Watching(RuleBasedStateMachine):
    """Events of three collections. Each collection keeps its order; across collections any order is possible."""

    def __init__(self) -> None:
        super().__init__()
        self.truth = Truth()
        self.known = Known(self.truth)
        self.unseen: dict[str, list[tuple[str, Any]]] = {"pod": [], "execution": [], "options": []}
        self.count = 0

    def happens(self, what: str, name: str, item: Any) -> None:
        there = getattr(self.truth, {"pod": "pods", "execution": "executions", "options": "options"}[what])
        if item is None:
            del there[name]
        else:
            there[name] = item
        self.unseen[what].append((name, item))

    def number(self) -> int:
        self.count += 1
        return self.count

    # What users and engines do.

    @rule(name=st.sampled_from("ab"), cap=CAPS, policy=st.sampled_from([None, None, "NextExecution"]))
    def write_options(self, name: str, cap: int | None, policy: str | None) -> None:
        fields = ({} if cap is None else {"maxParallelism": cap}) | ({} if policy is None else {"updatePolicy": policy})
        spec = convert(fields, ExecutionOptionsSpec)
        before = self.truth.options.get(name)
        uid, generation = (f"o{self.number()}", 1) if before is None else (before.uid, before.generation + 1)
        made = OptionsObject(kind=KIND, name=name, namespace=TEAM, uid=uid, generation=generation, spec=spec)
        self.happens("options", name, made)

    @precondition(lambda self: self.truth.options)
    @rule(data=st.data())
    def delete_options(self, data: st.DataObject) -> None:
        self.happens("options", data.draw(st.sampled_from(sorted(self.truth.options))), None)

    def snapshot(self, data: st.DataObject, identifier: str) -> str:
        names = data.draw(st.lists(st.sampled_from(sorted(self.truth.options)), unique=True, max_size=2))
        chosen = [self.truth.options[name] for name in names]
        layers = [
            Layer(Source(Level.NAMESPACE_DEFAULT, KIND, one.name, one.uid, one.generation), one.spec) for one in chosen
        ]
        inline = data.draw(CAPS)
        if inline is not None:
            spec = convert({"maxParallelism": inline}, ExecutionOptionsSpec)
            layers.append(Layer(Source(Level.EXECUTION, ANNOTATION, INLINE_ANNOTATION), spec))
        return encode(Snapshot(id=identifier, layers=tuple(layers)))

    @precondition(lambda self: self.truth.options)
    @rule(data=st.data(), name=st.sampled_from("xy"))
    def create_execution(self, data: st.DataObject, name: str) -> None:
        if name not in self.truth.executions:
            identifier = f"id{self.number()}"
            annotations = {SNAPSHOT_ANNOTATION: self.snapshot(data, identifier)}
            metadata = {"name": name, "namespace": TEAM, "uid": f"e{self.number()}", "labels": {ID_LABEL: identifier}}
            self.happens("execution", name, {"metadata": metadata | {"annotations": annotations}})

    @precondition(lambda self: self.truth.executions)
    @rule(data=st.data(), gone=st.booleans())
    def follow_edits_or_delete(self, data: st.DataObject, gone: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.truth.executions)))
        if gone:
            self.happens("execution", name, None)
            return
        metadata = self.truth.executions[name]["metadata"]
        snapshot = decode(metadata["annotations"][SNAPSHOT_ANNOTATION])
        live = encode_live(edited(snapshot, Live(), self.current))
        annotations = metadata["annotations"] | ({} if live is None else {LIVE_ANNOTATION: live})
        self.happens("execution", name, {"metadata": {**metadata, "annotations": annotations}})

    @precondition(lambda self: self.truth.pods)
    @rule(data=st.data())
    def follow_edits_of_a_pod(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.truth.pods)))
        pod = self.truth.pods[name]
        annotations = pod["metadata"]["annotations"]
        if SNAPSHOT_ANNOTATION in annotations:
            live = encode_live(edited(decode(annotations[SNAPSHOT_ANNOTATION]), Live(), self.current))
            followed = annotations | ({} if live is None else {LIVE_ANNOTATION: live})
            self.happens("pod", name, {**pod, "metadata": {**pod["metadata"], "annotations": followed}})

    def current(self, _: str, name: str) -> OptionsObject | None:
        return self.truth.options.get(name)

    @precondition(lambda self: self.truth.options)
    @rule(data=st.data(), kind=st.sampled_from(["owned", "owned", "bare", "alone"]), gated=st.booleans())
    def create_pod(self, data: st.DataObject, kind: str, gated: bool) -> None:
        name = f"p{self.number():03}"
        metadata: Document = {
            "name": name,
            "namespace": TEAM,
            "uid": name,
            "creationTimestamp": f"{self.count // 3:04}",
        }
        labels, annotations = {GATE: "gated" if gated else "capped"}, {}
        if kind == "owned":
            if not self.truth.executions:
                return
            run = self.truth.executions[data.draw(st.sampled_from(sorted(self.truth.executions)))]["metadata"]
            owner = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": run["name"], "uid": run["uid"]}
            metadata["ownerReferences"] = [{**owner, "controller": True}]
            labels[ID_LABEL] = run["labels"][ID_LABEL]
        else:
            labels[ID_LABEL] = f"id{self.number()}"
            annotations = {SNAPSHOT_ANNOTATION: self.snapshot(data, labels[ID_LABEL])}
            if kind == "bare":
                annotations[GROUP_ANNOTATION] = data.draw(st.sampled_from(["g", "h"]))
        spec: Document = {"priority": data.draw(st.integers(0, 1))}
        if gated:
            others = data.draw(st.sampled_from([[], [], [{"name": "example.com/other"}], [{"name": KUEUES}]]))
            spec["schedulingGates"] = [*others, {"name": GATE}]
        self.happens(
            "pod", name, {"metadata": {**metadata, "labels": labels, "annotations": annotations}, "spec": spec}
        )

    @precondition(lambda self: self.truth.pods)
    @rule(
        data=st.data(),
        how=st.sampled_from(["release", "others let go", "leave to kueue", "end", "delete", "terminate"]),
    )
    def change_pod(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.truth.pods)))
        pod = self.truth.pods[name]
        gates = pod["spec"].get("schedulingGates", [])
        if how == "leave to kueue":
            if KUEUES in (gate["name"] for gate in gates):
                left = {**pod["metadata"], "labels": {**pod["metadata"]["labels"], GATE: "kueue"}}
                kept = [gate for gate in gates if gate["name"] != GATE]
                self.happens("pod", name, {**pod, "metadata": left, "spec": {**pod["spec"], "schedulingGates": kept}})
            return
        changes: dict[str, Document | None] = {
            "release": {**pod, "spec": {**pod["spec"], "schedulingGates": []}},
            "others let go": {
                **pod,
                "spec": {**pod["spec"], "schedulingGates": [g for g in gates if g["name"] == GATE]},
            },
            "end": {**pod, "status": {"phase": data.draw(st.sampled_from(["Succeeded", "Failed"]))}},
            "delete": None,
            "terminate": {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "9999"}},
        }
        self.happens("pod", name, changes[how])

    # What the controller sees.

    @rule(what=st.sampled_from(["pod", "pod", "execution", "options"]), number=st.integers(1, 4))
    def see(self, what: str, number: int) -> None:
        for _ in range(min(number, len(self.unseen[what]))):
            name, item = self.unseen[what].pop(0)
            getattr(self.known, f"see_{what}")(name, item)

    @rule()
    def find_out(self) -> None:
        self.known.find_out()

    # What holds.

    @invariant()
    def no_group_is_empty_and_every_pod_is_in_one(self) -> None:
        board = self.known.board
        living = {name for name, pod in self.known.pods.items() if not pod.ended and not pod.kueue and not pod.gates}
        grouped = [pod.uid for group in board.groups.values() for pod in group.slots.pods()]
        assert sorted(grouped) == sorted(living)
        assert all(len(group.slots) for group in board.groups.values())
        assert board.totals() == tuple(
            sum(getattr(group.slots, what) for group in board.groups.values()) for what in ("used", "waiting")
        )

    @invariant()
    def no_pod_of_an_unknown_execution_is_released(self) -> None:
        for key, group in self.known.board.groups.items():
            assert key.engine or group.slots.cap == BLOCKED

    def teardown(self) -> None:
        for what in ("options", "pod", "execution"):
            self.see(what, len(self.unseen[what]))
        self.known.find_out()
        for fresh in (self.anew(("execution", "options", "pod")), self.anew(("pod", "options", "execution"))):
            assert self.known.shown() == fresh.shown()
            for uid in {options.uid for options in self.truth.options.values()}:
                assert self.known.board.numbers(uid) == fresh.board.numbers(uid)

    def anew(self, order: tuple[str, ...]) -> Known:
        """A board that sees only the last states."""
        known = Known(self.truth)
        there: dict[str, dict[str, Any]] = {
            "pod": self.truth.pods,
            "execution": self.truth.executions,
            "options": self.truth.options,
        }
        for what in order:
            for name, item in sorted(there[what].items(), reverse=True):
                getattr(known, f"see_{what}")(name, item)
        known.find_out()
        return known


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
