"""The tracker forgets what is gone."""

from __future__ import annotations

from collections import Counter

from msgspec import convert

from execution_options.api.keys import ExecutionKey
from execution_options.controller.cache.objects import EngineObject, followed
from execution_options.controller.cache.tracker import Tracker
from execution_options.engines.profile import builtin
from execution_options.options.snapshot import Snapshot, encode

ENGINE = next(engine for engine in builtin() if engine.name == "job")


def job_object(uid: str, **annotations: str) -> EngineObject:
    metadata = {"name": "j", "namespace": "ns", "uid": uid, "annotations": annotations}
    return convert({"metadata": metadata | {"labels": {"execution.dev/id": "i"}}}, followed(ENGINE))


def test_the_tracker_forgets_what_is_gone_and_leaves_alone_what_it_cannot_read() -> None:
    tracker = Tracker()
    key = ExecutionKey("job", "ns", "j")
    tracker.put(key, job_object("1"))
    assert tracker.unstamped("ns") == tracker.unstamped("") == [key]
    _, record = tracker.put(key, job_object("1", **{"execution.dev/snapshot": "{"}))
    assert record is not None
    assert record.unreadable
    assert not tracker.unstamped("ns")
    _, record = tracker.put(key, job_object("1", **{"execution.dev/snapshot": encode(Snapshot(id="forged"))}))
    assert record is not None
    assert not record.stamped
    tracker.put(key, None)
    assert tracker.counts() == Counter()
    assert not tracker.unstamped("")
    assert tracker.pods(key) == set()
