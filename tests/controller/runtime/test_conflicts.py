"""Writes of single objects: conflicts are planned anew, and no write is repeated for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from execution_options.admission.edit import Plan
from execution_options.api.meta import ObjectMeta
from execution_options.controller.runtime.conflicts import ATTEMPTS, ConflictError, Shell, UndoneError
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import Pace
from execution_options.kube.client import ApiError
from support.fakes import FakeApi
from support.recordingwriter import Recording

META = ObjectMeta(name="j", namespace="ns", uid="u", resource_version="1")


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
