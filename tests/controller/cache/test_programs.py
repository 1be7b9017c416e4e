"""What the pods of an execution say is known as long as the execution is, and no longer."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from execution_options.controller.cache.objects import PodObject
from execution_options.controller.cache.programs import Programs
from execution_options.controller.cache.tracker import Tracker
from execution_options.engines.programs import ProgramOutcome


class Pods:
    """The pods of the Job u1."""

    def __init__(self, *, counts: bool = True) -> None:
        self.items: dict[tuple[str, str], PodObject] = {}
        self.tracker = Tracker()
        store = cast("Any", SimpleNamespace(items=self.items))
        self.programs = Programs(store, self.tracker, lambda uid: counts and uid == "u1")

    def put(self, name: str, phase: str, message: str = "") -> None:
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u1", "controller": True}
        text = json.dumps({"execution.dev/phase": message, "message": name}) if message else ""
        document = {
            "metadata": {"name": name, "namespace": "team", "ownerReferences": [owner]},
            "status": {"phase": phase, "containerStatuses": [{"state": {"terminated": {"message": text}}}]},
        }
        pod = self.items["team", name] = msgspec.convert(document, PodObject)
        assert pod.status is None, "nothing else is kept of it"
        self.tracker.put_pod(("team", name), pod.metadata, add=True)

    def drop(self, name: str) -> None:
        pod = self.items.pop(("team", name))
        self.tracker.put_pod(("team", name), pod.metadata, add=False)
        self.programs.pod_gone(pod)


def test_the_worst_of_what_succeeded_pods_say_counts() -> None:
    pods = Pods()
    assert pods.programs.of("u1") is None
    pods.put("a", "Succeeded", "SUCCEEDED")
    pods.put("b", "Succeeded", "FAILED")
    pods.put("c", "Succeeded")
    pods.put("d", "Failed", "ABORTED")
    assert pods.programs.of("u1") == ProgramOutcome("FAILED", "b")
    assert pods.programs.of("u2") is None


def test_a_pod_that_failed_and_was_tried_again_says_nothing() -> None:
    pods = Pods()
    pods.put("a", "Failed", "FAILED")
    pods.put("b", "Succeeded", "SUCCEEDED")
    assert pods.programs.of("u1") == ProgramOutcome("SUCCEEDED", "b")


def test_what_a_pod_said_outlives_it_as_long_as_its_execution_is_there() -> None:
    pods = Pods()
    pods.put("a", "Succeeded", "FAILED")
    pods.put("b", "Succeeded", "SUCCEEDED")
    pods.drop("a")
    pods.drop("b")
    assert pods.programs.of("u1") == ProgramOutcome("FAILED", "a")
    pods.programs.forget("u1")
    assert pods.programs.of("u1") is None


def test_nothing_is_kept_where_it_does_not_count() -> None:
    pods = Pods(counts=False)
    pods.put("a", "Succeeded", "FAILED")
    pods.drop("a")
    assert pods.programs.of("u1") is None


@pytest.mark.parametrize(
    ("phases", "complete"),
    [
        ([], False),
        (["Running"], False),
        (["Failed"], False),
        (["Succeeded"], True),
        (["Succeeded", "Running"], False),
        (["Succeeded", "Failed"], True),
    ],
)
def test_all_is_heard_once_a_pod_has_succeeded_and_none_is_under_way(phases: list[str], complete: bool) -> None:
    pods = Pods()
    for number, phase in enumerate(phases):
        pods.put(f"p{number}", phase)
    assert pods.programs.are_complete("u1") is complete


def test_a_pod_that_succeeded_and_went_was_heard() -> None:
    pods = Pods()
    pods.put("a", "Succeeded")
    pods.drop("a")
    assert pods.programs.are_complete("u1")
