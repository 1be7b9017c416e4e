"""Writes of single objects: conflicts are planned anew, and no write is repeated for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from execution_options.admission.edit import Plan
from execution_options.api.keys import OptionsKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import OPTIONS_KIND
from execution_options.controller.cache.optionsindex import OptionsIndex
from execution_options.controller.runtime.conflicts import ATTEMPTS, ConflictError, Shell, UndoneError
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import Pace
from execution_options.kube.client import ApiError
from support.fakes import FakeApi
from support.recordingwriter import Recording

KEY = OptionsKey(OPTIONS_KIND, "ns", "o")
META = ObjectMeta(name="j", namespace="ns", uid="u", resource_version="1")


def stored(version: str = "1", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "o", "namespace": "ns", "uid": "u", "resourceVersion": version, "generation": 1}
    return {"metadata": metadata | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}


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

    await shell(api, writer).patch("/path", META, "pod", plan)
    assert len(writer.bodies) == 3
    assert len(api.requests) == 2
    assert len(planned) == 3 <= ATTEMPTS


async def test_an_object_that_changes_all_the_time_has_to_wait() -> None:
    api, writer = FakeApi(), Recording(*[ApiError(422, "Invalid", "")] * 9)
    changing(api)
    with pytest.raises(ConflictError):
        await shell(api, writer).patch("/path", META, "pod", always)
    assert len(writer.bodies) == ATTEMPTS


async def test_a_write_that_a_policy_refuses_is_told_from_a_conflict() -> None:
    api, writer = FakeApi(), Recording(*[ApiError(422, "Invalid", "policy 'p' denied request")] * 9)
    api.put("/path", {"metadata": {"name": "j", "uid": "u"}})
    stale = ObjectMeta(name="j", uid="u", resource_version="0")
    with pytest.raises(ApiError, match="policy 'p' denied request"):
        await shell(api, writer).patch("/path", stale, "pod", always)
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
    patching = Shell(FakeApi(), Recording(error), pace, Metrics())  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        await patching.patch("/path", META, "pod", always)
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
    assert await shell(api, writer).patch("/path", META, "pod", always) == Plan([])
    assert len(writer.bodies) == 1


async def test_what_is_deleted_meanwhile_is_planned_anew_like_any_other() -> None:
    api, writer = FakeApi(), Recording(ApiError(422, "Invalid", ""))
    api.put("/path", {"metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    stale = ObjectMeta(name="j", uid="u", resource_version="0")
    await shell(api, writer).patch("/path", stale, "pod", always)
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
        await shell(FakeApi(), writer).patch("/path", META, "pod", lambda _: Plan([operation]))
    assert len(writer.bodies) == 1


async def test_a_write_that_changes_nothing_is_not_undone() -> None:
    kept = {"op": "replace", "path": "/metadata/labels/a", "value": "1"}
    await shell(FakeApi(), Recording()).patch("/path", META, "pod", lambda _: Plan([kept]))


async def test_other_errors_are_for_the_queue() -> None:
    with pytest.raises(ApiError):
        await shell(FakeApi(), Recording(ApiError(500, "x", ""))).patch("/path", META, "pod", always)
    assert await shell(FakeApi(), Recording(ApiError(404, "NotFound", ""))).patch("/path", META, "pod", always) == Plan(
        []
    )
