"""A status is written where it differs: at once where a condition changed, and seldom where only numbers did."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from execution_options.controller.runtime.statuswriter import StatusWrite, StatusWriter
from execution_options.kube.client import ApiError
from support.fakes import Clock

NOT_INSTALLED = "NotInstalled"


class Desk:
    """A status, and who writes it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.error: ApiError | None = None
        self.stored: dict[str, Any] = {}
        self.bodies: list[Any] = []
        writer: Any = self
        self.statuses: StatusWriter[str] = StatusWriter(writer, 10.0, (NOT_INSTALLED,), self.clock)

    async def merge(self, path: str, body: Any) -> bytes:
        assert path == "/path/status"
        self.bodies.append(body)
        if self.error is not None:
            raise self.error
        self.stored = body["status"]
        return b"{}"

    async def write(self, count: int, reason: str = "Applied", status: str = "True") -> StatusWrite:
        condition = {"type": "Ready", "status": status, "reason": reason, "message": "first\nsecond"}
        wanted = {"count": count, "conditions": [condition]}
        return await self.statuses.write("o", "/path/status", {"uid": "u"}, self.stored, wanted, "Kind ns/o")


async def test_what_is_there_already_is_not_written() -> None:
    desk = Desk()
    assert await desk.write(1) == StatusWrite(b"{}")
    assert await desk.write(1) == StatusWrite()
    assert [body["metadata"] for body in desk.bodies] == [{"uid": "u"}]


async def test_numbers_wait_and_conditions_do_not() -> None:
    desk = Desk()
    await desk.write(1)
    desk.clock.now += 4
    assert await desk.write(2) == StatusWrite(wait=6.0)
    assert (await desk.write(2, "Other")).answer is not None
    desk.clock.now += 10
    assert (await desk.write(3, "Other")).answer is not None
    assert await desk.write(4, "Other") == StatusWrite(wait=10.0)
    desk.statuses.forget("o")
    assert (await desk.write(4, "Other")).answer is not None


@pytest.mark.parametrize("status", [404, 409])
async def test_an_object_that_changed_meanwhile_has_to_be_read_again(status: int) -> None:
    desk = Desk()
    desk.error = ApiError(status, "x", "")
    assert await desk.write(1) == StatusWrite(conflict=True)
    desk.error = ApiError(500, "x", "")
    with pytest.raises(ApiError):
        await desk.write(1)
    desk.error = None
    assert (await desk.write(1)).answer is not None


@pytest.mark.parametrize(
    ("reason", "status", "level"),
    [("Applied", "True", "INFO"), ("Broken", "False", "WARNING"), (NOT_INSTALLED, "False", "INFO")],
)
async def test_a_changed_condition_is_logged_once(
    caplog: pytest.LogCaptureFixture, reason: str, status: str, level: str
) -> None:
    caplog.set_level(logging.INFO)
    desk = Desk()
    await desk.write(1, reason, status)
    desk.clock.now += 10
    await desk.write(2, reason, status)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [(level, f"Kind ns/o: {reason}: first")]
