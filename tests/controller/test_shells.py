"""The thin parts around the decisions: the index, events, conflicts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import convert
from prometheus_client import generate_latest

from execution_options.api.names import OPTIONS_KIND
from execution_options.controller.announcements import Announcement
from execution_options.controller.events import MAX_NOTE, Recorder, Regarding, event
from execution_options.controller.index import OptionsIndex
from execution_options.controller.live import Plan
from execution_options.controller.metrics import Metrics
from execution_options.controller.objects import EngineObject, ExecutionKey, OptionsKey, followed
from execution_options.controller.rate import Pace, SharedBucket
from execution_options.controller.shell import ATTEMPTS, ConflictError, Shell, UndoneError
from execution_options.controller.tracking import Tracker
from execution_options.engines.profile import builtin
from execution_options.kube.client import ApiError
from execution_options.kube.meta import ObjectMeta
from execution_options.options.snapshot import Snapshot, encode

from .fakes import FakeApi

ENGINE = next(engine for engine in builtin() if engine.name == "job")
KEY = OptionsKey(OPTIONS_KIND, "ns", "o")
PATH = "/apis/execution.dev/v1beta1/namespaces/ns/executionoptions/o"
META = ObjectMeta(name="j", namespace="ns", uid="u", resource_version="1")


def stored(version: str = "1", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "o", "namespace": "ns", "uid": "u", "resourceVersion": version, "generation": 1}
    return {"metadata": metadata | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}


async def test_the_index_reads_what_it_was_told_of_and_only_that() -> None:
    api = FakeApi()
    index = OptionsIndex(api)  # type: ignore[arg-type]
    api.put(PATH, stored(labels={"a": "1"}))
    assert index.hint(KEY, "1")
    known = await index.refresh(KEY)
    assert known is not None
    assert known.options is not None
    assert not index.hint(KEY, known.version)
    await index.refresh(KEY)
    assert len(api.requests) == 1
    assert index.key_of("u") == KEY
    assert index.find("ns")(OPTIONS_KIND, "o") is known.options
    assert index.find("other")(OPTIONS_KIND, "o") is None
    assert [o.name for o, _ in index.candidates("ns")] == ["o"]
    assert not list(index.candidates("other"))
    assert (list(index.in_namespace("ns")), list(index.in_namespace("other"))) == ([KEY], [])
    del api.objects[PATH]
    assert index.hint(KEY, None)
    assert await index.refresh(KEY) is None
    assert index.key_of("u") is None
    assert not index.in_namespace("ns")
    assert not list(index.candidates("ns"))


def test_the_index_takes_what_is_handed_to_it_and_only_what_is_newer() -> None:
    api = FakeApi()
    index = OptionsIndex(api)  # type: ignore[arg-type]
    assert index.hand(OPTIONS_KIND, stored("7", labels={"a": "1"}), deleted=False) == KEY
    for version in ("7", "6"):
        assert index.hand(OPTIONS_KIND, stored(version), deleted=False) is None
        assert index.hand(OPTIONS_KIND, stored(version), deleted=True) is None
    known = index.get(KEY)
    assert known is not None
    assert known.version == "7"
    assert index.hand(OPTIONS_KIND, stored("10"), deleted=True) == KEY
    assert index.get(KEY) is None
    assert index.hand(OPTIONS_KIND, stored("10"), deleted=True) is None
    assert not api.requests


async def test_a_list_does_not_bring_back_what_was_handed_over_meanwhile() -> None:
    api = FakeApi()
    index = OptionsIndex(api)  # type: ignore[arg-type]
    index.hand(OPTIONS_KIND, stored("7"), deleted=False)
    listing = api.get

    async def get(path: str, **options: Any) -> bytes:
        answer = await listing(path, **options)
        index.hand(OPTIONS_KIND, stored("8"), deleted=True)
        return answer

    api.objects["/apis/execution.dev/v1beta1/executionoptions"] = {"metadata": {}, "items": [stored("7")]}
    api.objects["/apis/execution.dev/v1beta1/clusterexecutionoptions"] = {"metadata": {}, "items": []}
    api.get = get  # type: ignore[method-assign]
    assert KEY in await index.resync()
    assert index.get(KEY) is None
    api.get = listing  # type: ignore[method-assign]
    assert await index.refresh(KEY) is None


async def test_a_read_that_failed_is_made_again() -> None:
    api = FakeApi()
    index = OptionsIndex(api)  # type: ignore[arg-type]
    api.put(PATH, stored())
    index.hint(KEY, "1")

    def fail(*_: object) -> None:
        raise TimeoutError

    api.fail = fail
    with pytest.raises(TimeoutError):
        await index.refresh(KEY)
    api.fail = lambda *_: None
    assert await index.refresh(KEY) is not None


async def test_only_the_api_server_says_that_options_are_gone_while_their_kind_is_installed() -> None:
    api, installed = FakeApi(), {OPTIONS_KIND}
    index = OptionsIndex(api, installed.__contains__)  # type: ignore[arg-type]
    api.put(PATH, stored())
    index.hint(KEY, "1")
    known = await index.refresh(KEY)

    def page(*_: object) -> None:
        raise ApiError(404, "", "404 page not found")

    api.fail = page
    index.hint(KEY, None)
    with pytest.raises(ApiError, match="page not found"):
        await index.refresh(KEY)
    assert index.get(KEY) is known
    installed.clear()
    assert await index.refresh(KEY) is None
    assert index.get(KEY) is None


def test_an_object_that_cannot_be_understood_stops_no_other() -> None:
    index = OptionsIndex(FakeApi())  # type: ignore[arg-type]
    for spec in ({"labels": "x"}, None, [1]):
        known = index.put(OPTIONS_KIND, json.dumps(stored() | {"spec": spec, "status": 7}).encode())
        assert known.options is None
        assert known.problem
        assert known.status == {}
    assert not list(index.candidates("ns"))


class Recording:
    """A writer that notes what it is given."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.bodies: list[Any] = []

    async def create(self, _collection: str, body: Any) -> None:
        self._take(body)

    async def patch(self, _path: str, operations: Any) -> ObjectMeta:
        self._take(operations)
        return ObjectMeta(name="j", uid="u", labels={"a": "1"})

    def _take(self, body: Any) -> None:
        self.bodies.append(body)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error


async def posted(writer: Recording, *said: Announcement) -> Metrics:
    metrics = Metrics()
    recorder = Recorder(writer, SharedBucket(1000, 100), metrics, "me")  # type: ignore[arg-type]
    for one in said:
        recorder.say(ENGINE, META, one)
    task = asyncio.create_task(recorder.run())
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    return metrics


SAID = Announcement("Warning", "AdmissionMissed", "Repair", "text")


async def test_an_event_is_posted_once_and_tried_again_where_that_can_help() -> None:
    writer = Recording()
    await posted(writer, SAID, SAID)
    assert len(writer.bodies) == 1
    assert writer.bodies[0]["regarding"]["apiVersion"] == "batch/v1"
    for error, tries in ((TimeoutError(), 2), (ApiError(500, "x", ""), 2), (ApiError(409, "x", ""), 1)):
        writer = Recording(error)
        await posted(writer, SAID)
        assert len(writer.bodies) == tries
    writer = Recording(*[TimeoutError()] * 9)
    metrics = await posted(writer, SAID)
    assert len(writer.bodies) == 3
    assert metrics.registry.get_sample_value("execution_options_events_total", {"result": "dropped"}) == 1


def test_an_event_fits_and_has_the_same_name_after_a_restart() -> None:
    long = Announcement("Normal", "OptionsApplied", "Admit", "é" * 2000)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    body = event(Regarding.of(ENGINE, META), long, "one", now)
    assert len(body["note"].encode()) <= MAX_NOTE
    assert body["metadata"]["name"] == event(Regarding.of(ENGINE, META), long, "two", now)["metadata"]["name"]
    long_name = ObjectMeta(name="n" * 253, namespace="ns", uid="u")
    assert len(event(Regarding.of(ENGINE, long_name), long, "one", now)["metadata"]["name"]) <= 253


def shell(api: FakeApi, writer: Recording) -> Shell:
    return Shell(api, writer, Pace(1000), Metrics())  # type: ignore[arg-type]


def changing(api: FakeApi) -> None:
    """An object that is another version each time it is read."""
    api.put("/path", {"metadata": {"name": "j", "uid": "u"}})
    api.fail = lambda _method, path, done: None if done else api.put(path, api.objects[path]) and None


def always(_: ObjectMeta) -> Plan:
    return Plan([{"op": "test", "path": "/metadata/uid", "value": "u"}])


async def test_a_conflict_is_planned_anew_from_a_fresh_read() -> None:
    api, writer = FakeApi(), Recording(ApiError(422, "Invalid", ""), ApiError(409, "Conflict", ""))
    changing(api)
    planned: list[str] = []

    def plan(metadata: ObjectMeta) -> Plan:
        planned.append(metadata.resource_version)
        return always(metadata)

    await shell(api, writer).settle("/path", META, "pod", plan)
    assert len(writer.bodies) == 3
    assert len(api.requests) == 2
    assert len(planned) == 3 <= ATTEMPTS


async def test_an_object_that_changes_all_the_time_has_to_wait() -> None:
    api, writer = FakeApi(), Recording(*[ApiError(422, "Invalid", "")] * 9)
    changing(api)
    with pytest.raises(ConflictError):
        await shell(api, writer).settle("/path", META, "pod", always)
    assert len(writer.bodies) == ATTEMPTS


async def test_a_write_that_a_policy_refuses_is_told_from_a_conflict() -> None:
    api, writer = FakeApi(), Recording(*[ApiError(422, "Invalid", "policy 'p' denied request")] * 9)
    api.put("/path", {"metadata": {"name": "j", "uid": "u"}})
    stale = ObjectMeta(name="j", uid="u", resource_version="0")
    with pytest.raises(ApiError, match="policy 'p' denied request"):
        await shell(api, writer).settle("/path", stale, "pod", always)
    assert len(writer.bodies) == 2


@pytest.mark.parametrize(
    ("error", "slower"),
    [
        (ApiError(429, "", "too many", 2), True),
        (ApiError(503, "ServiceUnavailable", ""), True),
        (TimeoutError(), True),
        (ApiError(500, "InternalError", "failed calling webhook"), False),
        (ApiError(403, "Forbidden", ""), False),
    ],
)
async def test_writes_slow_down_where_the_api_server_has_too_much_to_do(error: Exception, slower: bool) -> None:
    pace = Pace(100)
    settling = Shell(FakeApi(), Recording(error), pace, Metrics())  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        await settling.settle("/path", META, "pod", always)
    assert (pace.rate < 100) == slower
    waiting = asyncio.create_task(pace.take("ns"))
    await asyncio.wait([waiting], timeout=1)
    assert waiting.done() == (getattr(error, "retry_after", 0) == 0)
    waiting.cancel()


@pytest.mark.parametrize("now", [None, {"uid": "another"}])
async def test_what_is_gone_or_another_is_left(now: dict[str, str] | None) -> None:
    api, writer = FakeApi(), Recording(ApiError(422, "Invalid", ""))
    if now is not None:
        api.put("/path", {"metadata": now})
    assert await shell(api, writer).settle("/path", META, "pod", always) == ()
    assert len(writer.bodies) == 1


async def test_what_is_deleted_meanwhile_is_planned_anew_like_any_other() -> None:
    api, writer = FakeApi(), Recording(ApiError(422, "Invalid", ""))
    api.put("/path", {"metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    stale = ObjectMeta(name="j", uid="u", resource_version="0")
    await shell(api, writer).settle("/path", stale, "pod", always)
    assert len(writer.bodies) == 2


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/metadata/labels/a", "value": "2"},
        {"op": "remove", "path": "/metadata/labels/a"},
        {"op": "add", "path": "/metadata/annotations/a", "value": "1"},
    ],
    ids=["changed", "removed", "annotation"],
)
async def test_a_write_that_is_undone_at_once_is_not_repeated_for_ever(operation: dict[str, Any]) -> None:
    writer = Recording()
    with pytest.raises(UndoneError, match="trust"):
        await shell(FakeApi(), writer).settle("/path", META, "pod", lambda _: Plan([operation]))
    assert len(writer.bodies) == 1


async def test_a_write_that_changes_nothing_is_not_undone() -> None:
    kept = {"op": "replace", "path": "/metadata/labels/a", "value": "1"}
    await shell(FakeApi(), Recording()).settle("/path", META, "pod", lambda _: Plan([kept]))


async def test_other_errors_are_for_the_queue() -> None:
    with pytest.raises(ApiError):
        await shell(FakeApi(), Recording(ApiError(500, "x", ""))).settle("/path", META, "pod", always)
    assert await shell(FakeApi(), Recording(ApiError(404, "NotFound", ""))).settle("/path", META, "pod", always) == ()


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


def test_metrics_name_no_object() -> None:
    metrics = Metrics()
    metrics.watch_executions(lambda: Counter({("job", "active"): 2}))
    metrics.watch_queue("pods", lambda: 3)
    text = generate_latest(metrics.registry).decode()
    assert 'execution_options_executions{engine="job",state="active"} 2.0' in text
    assert 'execution_options_queue_depth{queue="pods"} 3.0' in text
