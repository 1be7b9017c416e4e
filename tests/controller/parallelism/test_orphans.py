"""Pods of which no execution is known go as soon as it is certain that nobody has them, and only then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from execution_options.api.keys import GroupKey
from execution_options.api.names import GATE, ID_LABEL, SNAPSHOT_ANNOTATION
from execution_options.controller.cache.optionsindex import OptionsIndex
from execution_options.controller.cache.tracker import Tracker
from execution_options.controller.parallelism.orphans import AGAIN_SECONDS, CHANGED_SECONDS, Orphans
from execution_options.engines.profile import Engine, parse
from execution_options.engines.registry import Engines, builtin_engines
from execution_options.kube.client import ApiError
from execution_options.parallelism.board import Board
from execution_options.parallelism.groups import BLOCKED
from execution_options.parallelism.pods import GatedPod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.parallelism.groups import Group

TEAM = "team"
ORPHANS = GroupKey("", TEAM, "id")
RUN = {"metadata": {"name": "run", "annotations": {SNAPSHOT_ANNOTATION: "{}"}}}
TASK_RUNS, RUNS = "tekton.dev/v1/namespaces/team/taskruns", "tekton.dev/v1/namespaces/team/pipelineruns"


def engine(name: str, kind: str, *parts: tuple[str, str]) -> Engine:
    spec: dict[str, Any] = {
        "group": "example.com",
        "version": "v1",
        "kind": kind,
        "plural": f"{kind.lower()}s",
        "parts": [{"group": group, "kind": part} for group, part in parts],
        "status": {"phases": [{"phase": "SUCCEEDED", "when": [{"path": "status.done", "is": ["True"]}]}]},
    }
    document = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionEngine",
        "metadata": {"name": name},
        "spec": spec,
    }
    return parse(msgspec.json.encode(document))


class Cluster:
    """Executions by collection, and pods that carry an identifier."""

    def __init__(self) -> None:
        self.engines = Engines([*builtin_engines().values(), engine("backup", "Backup", ("tekton.dev", "TaskRun"))])
        self.absent: set[str] = set()
        self.executions = SimpleNamespace(is_absent=lambda engine: engine.name in self.absent)
        self.tracker = Tracker()
        self.there: dict[str, list[dict[str, Any]]] = {}
        self.problems: dict[str, ApiError] = {}
        self.asked: list[str] = []
        self.during: Callable[[], None] = lambda: None
        self.why: list[tuple[GroupKey, str]] = []
        world: Any = self
        listener: Any = self
        kube: Any = self
        self.board = Board(world, OptionsIndex(kube), listener)
        self.orphans = Orphans(kube, world, self.board, lambda key, why: self.why.append((key, why)))

    def execution(self, key: object) -> None:
        assert key

    def unknown(self, key: GroupKey) -> None:
        assert key == ORPHANS

    def changed(self, group: Group) -> None:
        assert group.key == ORPHANS

    async def get(self, path: str, *, params: Mapping[str, str], accept: str, seconds: float) -> bytes:
        assert params["labelSelector"] == f"{ID_LABEL}=id"
        assert "PartialObjectMetadataList" in accept
        collection = path.removeprefix("/apis/")
        self.asked.append(collection)
        self.during()
        if collection in self.problems:
            raise self.problems[collection]
        return msgspec.json.encode({"items": self.there.get(collection)})

    def pod(self, name: str, group: str = "tekton.dev", kind: str = "TaskRun") -> None:
        owner = {"apiVersion": f"{group}/v1", "kind": kind, "name": "owner", "uid": "owner", "controller": True}
        labels = {ID_LABEL: "id", GATE: "gated"}
        metadata = {"name": name, "namespace": TEAM, "uid": name, "labels": labels, "ownerReferences": [owner]}
        document = {"metadata": metadata, "spec": {"schedulingGates": [{"name": GATE}]}}
        self.board.pod_changed(None, msgspec.convert(document, GatedPod))

    @property
    def held(self) -> bool:
        return self.board.groups[ORPHANS].slots.cap == BLOCKED


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.pod("p")
    return cluster


async def test_pods_that_nobody_has_are_released(cluster: Cluster) -> None:
    assert await cluster.orphans.reconcile(ORPHANS) is None
    assert not cluster.held


async def test_pods_whose_execution_is_there_but_not_known_wait(cluster: Cluster) -> None:
    cluster.there[RUNS] = [RUN]
    assert await cluster.orphans.reconcile(ORPHANS) == AGAIN_SECONDS
    assert cluster.held
    cluster.there.clear()
    assert await cluster.orphans.reconcile(ORPHANS) is None
    assert not cluster.held


async def test_only_engines_are_asked_that_can_own_such_pods(cluster: Cluster) -> None:
    await cluster.orphans.reconcile(ORPHANS)
    assert sorted(cluster.asked) == ["example.com/v1/namespaces/team/backups", RUNS, TASK_RUNS]


async def test_engines_are_not_asked_whose_kind_is_not_in_the_cluster(cluster: Cluster) -> None:
    cluster.absent = set(cluster.engines) - {"tekton-taskrun"}
    await cluster.orphans.reconcile(ORPHANS)
    assert cluster.asked == [TASK_RUNS]


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_an_engine_that_cannot_be_read_holds_only_pods_that_it_can_own(
    cluster: Cluster, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.problems["example.com/v1/namespaces/team/backups"] = ApiError(status, "Forbidden", "no")
    for _ in range(2):
        assert await cluster.orphans.reconcile(ORPHANS) == AGAIN_SECONDS
    assert cluster.held
    text = "not released yet: its execution is not known, and backups.example.com cannot be read"
    assert cluster.why == [(ORPHANS, text)] * 2
    assert len([line for line in caplog.messages if "backup" in line]) == 1
    other = Cluster()
    other.problems = cluster.problems
    other.pod("p", kind="PipelineRun")
    assert await other.orphans.reconcile(ORPHANS) is None
    assert not other.held


async def test_an_engine_after_one_that_cannot_be_read_is_asked_all_the_same(cluster: Cluster) -> None:
    for path in (TASK_RUNS, RUNS):
        cluster.problems[path] = ApiError(403, "Forbidden", "no")
    await cluster.orphans.reconcile(ORPHANS)
    assert len(cluster.asked) == 3


async def test_pods_of_another_kind_that_came_meanwhile_have_all_looked_for_again(cluster: Cluster) -> None:
    cluster.during = lambda: cluster.pod("q", "batch", "Job")
    cluster.there["batch/v1/namespaces/team/jobs"] = [RUN]
    assert await cluster.orphans.reconcile(ORPHANS) == CHANGED_SECONDS
    assert cluster.held
    assert await cluster.orphans.reconcile(ORPHANS) == AGAIN_SECONDS


async def test_nothing_is_asked_for_pods_that_have_an_execution_by_now(cluster: Cluster) -> None:
    assert await cluster.orphans.reconcile(GroupKey("", TEAM, "other")) is None
    assert cluster.asked == []


@pytest.mark.parametrize(("kind", "held"), [("PipelineRun", True), ("Pipeline", False)])
async def test_a_part_has_pods_while_what_controls_it_may_be_an_execution(
    cluster: Cluster, kind: str, held: bool
) -> None:
    owner = {"apiVersion": "tekton.dev/v1", "kind": kind, "name": "run", "uid": "run", "controller": True}
    cluster.there[TASK_RUNS] = [{"metadata": {"name": "task", "ownerReferences": [owner]}}]
    await cluster.orphans.reconcile(ORPHANS)
    assert cluster.held is held
