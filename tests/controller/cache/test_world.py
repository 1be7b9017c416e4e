"""What is an execution depends on all engines together, and changes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from execution_options.api.keys import ExecutionKey
from execution_options.controller.cache.objects import followed
from execution_options.controller.cache.world import World
from execution_options.engines.profile import Engine, compiled
from execution_options.engines.registry import Engines, builtin_engines
from support import descriptions

if TYPE_CHECKING:
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache.objects import EngineObject

KEY = ExecutionKey("job", "team", "a")


class Listening:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.reported: list[ExecutionKey] = []
        self.parts: list[str] = []
        self.updated: list[str] = []

    def execution_changed(self, key: ExecutionKey, *_: Any) -> None:
        self.reported.append(key)

    def execution_unreadable(self, *_: Any) -> None:
        raise AssertionError("every object of these tests can be read")

    def part_changed(self, metadata: ObjectMeta) -> None:
        self.parts.append(metadata.uid)

    def part_updated(self, metadata: ObjectMeta) -> None:
        self.updated.append(metadata.uid)

    def collection_changed(self) -> None:
        """Of no interest."""

    pod_changed = collection_changed

    def account_changed(self, *_: Any) -> None:
        """Of no interest either."""


def backup() -> Engine:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionEngine", "metadata": {"name": "backup"}}
    return compiled({**manifest, "spec": descriptions.spec()})


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def world(listening: Listening) -> World:
    """With one Job, which a Backup controls."""
    kube: Any = None
    listener: Any = listening
    world = World(kube, builtin_engines(), listener)
    store = world.executions.of("job")
    assert store is not None
    owner = {"apiVersion": "example.com/v1", "kind": "Backup", "name": "b", "uid": "1", "controller": True}
    metadata = {"name": "a", "namespace": "team", "uid": "2", "ownerReferences": [owner]}
    item: EngineObject = msgspec.convert({"metadata": metadata}, followed(builtin_engines()["job"]))
    store._replace({("team", "a"): item})
    return world


def test_what_something_unknown_controls_is_an_execution_until_that_is_an_engine(
    world: World, listening: Listening
) -> None:
    assert KEY in world.tracker.records
    listening.reported.clear()
    dropped = world.use(Engines([*builtin_engines().values(), backup()]))
    assert [record.uid for _, record in dropped] == ["2"]
    assert KEY not in world.tracker.records
    assert (listening.reported, listening.parts) == ([], ["2"]), "it is not gone, but part of another"
    # And the other way round.
    assert world.use(builtin_engines()) == []
    assert KEY in world.tracker.records
    assert listening.reported == [KEY]


def test_executions_of_an_engine_that_is_taken_away_are_forgotten(world: World, listening: Listening) -> None:
    listening.reported.clear()
    others = [engine for engine in builtin_engines().values() if engine.name != "job"]
    assert [record.uid for _, record in world.use(Engines(others))] == ["2"]
    assert world.execution(KEY) is None
    assert listening.reported == []


def test_another_version_of_a_part_is_told_apart_from_its_coming(world: World, listening: Listening) -> None:
    run = builtin_engines()["tekton-taskrun"]
    owner = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "r", "uid": "r", "controller": True}
    metadata = {"name": "t", "namespace": "team", "uid": "t", "ownerReferences": [owner]}
    item: EngineObject = msgspec.convert({"metadata": metadata}, followed(run))
    world._track(run, None, item)
    world._track(run, item, item)
    assert (listening.parts, listening.updated) == (["t"], ["t"])
