"""Who has to look again when something in the cluster changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import convert

from execution_options.api.keys import ExecutionKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import GATE, ID_LABEL, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.cache.objects import followed
from execution_options.controller.cache.tracker import Tracker
from execution_options.controller.changes import Changes
from execution_options.engines.registry import builtin_engines
from support.podapi import RUN, TEAM, snapshot

KEY = ExecutionKey(RUN, TEAM, "run")


def queued(*, missed: bool, labels: dict[str, str], active: bool = True, uid: str = "task") -> list[ExecutionKey]:
    """The executions that are reconciled when a part of a run has another version."""
    annotations = {SNAPSHOT_ANNOTATION: snapshot(2)} | ({MISSED_ANNOTATION: "2026-01-01T00:00:00Z"} if missed else {})
    metadata = {"name": "run", "namespace": TEAM, "uid": "run", "labels": {ID_LABEL: "x"}, "annotations": annotations}
    tracker = Tracker()
    tracker.put(KEY, convert({"metadata": metadata}, followed(builtin_engines()[RUN])))
    tracker.put_part("task", "run", add=True)
    found: list[ExecutionKey] = []
    parts: Any = SimpleNamespace(
        world=SimpleNamespace(tracker=tracker), executions=SimpleNamespace(add=lambda key: found.append(key))
    )
    changes = Changes(parts)
    changes.active = active
    changes.part_updated(ObjectMeta(name="task", namespace=TEAM, uid=uid, labels=labels))
    return found


def test_a_part_from_before_the_repair_has_its_execution_look_for_pods() -> None:
    assert queued(missed=True, labels={}) == [KEY]


@pytest.mark.parametrize(
    "other",
    [
        {"missed": False, "labels": {}},
        {"missed": True, "labels": {GATE: "capped"}},
        {"missed": True, "labels": {}, "active": False},
        {"missed": True, "labels": {}, "uid": "of-nobody"},
    ],
)
def test_any_other_part_costs_nothing(other: dict[str, Any]) -> None:
    assert queued(**other) == []
