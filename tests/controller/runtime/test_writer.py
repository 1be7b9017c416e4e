"""Whoever stops writing can say when nothing that was sent can be carried out any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from execution_options.controller.runtime.writer import Writer
from execution_options.kube.client import ApiError, error_of
from support.fakes import FakeApi

SECONDS = 60.0


class Slow(FakeApi):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def request(self, method: str, path: str, *, body: Any = None, **options: Any) -> bytes:
        self.requests.append((method, path))
        await self.answer.wait()
        return await super().request(method, path, body=body, **options)


def writer(api: FakeApi) -> Writer:
    return Writer(api, lambda: True, SECONDS)  # type: ignore[arg-type]


async def create(writer: Writer, name: str) -> None:
    await writer.create("/things", {"metadata": {"name": name}})


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited for."""
    seconds: list[float] = []

    async def sleep(for_seconds: float) -> None:
        seconds.append(for_seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seconds


async def test_what_is_under_way_is_waited_for_and_nothing_more_is_sent() -> None:
    api = Slow()
    writing = writer(api)
    first = asyncio.create_task(create(writing, "a"))
    await asyncio.sleep(0)
    finished = asyncio.create_task(writing.finish())
    await asyncio.sleep(0)
    second = asyncio.create_task(create(writing, "b"))
    await asyncio.sleep(0)
    assert not finished.done()
    api.answer.set()
    await asyncio.wait_for(asyncio.gather(first, finished), 10)
    assert [*api.objects] == ["/things/a"]
    assert not second.done()
    second.cancel()


@pytest.mark.parametrize(
    ("error", "doubtful"),
    [
        (TimeoutError(), True),
        (error_of(504, b"gateway timeout"), True),
        (error_of(404, b"404 page not found"), True),
        (ApiError(409, "Conflict", "another version"), False),
        (error_of(429, b"Too many requests"), False),
    ],
)
async def test_it_takes_as_long_as_what_was_not_answered_may_still_be_carried_out(
    error: Exception, doubtful: bool, slept: list[float]
) -> None:
    api = FakeApi()

    def fail(*_: object) -> None:
        raise error

    api.fail = fail
    writing = writer(api)
    with pytest.raises(type(error)):
        await create(writing, "a")
    await writing.finish()
    (seconds,) = slept
    assert (SECONDS < seconds <= 2 * SECONDS) if doubtful else seconds == 0


async def test_what_is_cancelled_may_still_be_carried_out(slept: list[float]) -> None:
    api = Slow()
    writing = writer(api)
    task = asyncio.create_task(create(writing, "a"))
    while not api.requests:
        await asyncio.wait([task], timeout=0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await writing.finish()
    (seconds,) = slept
    assert SECONDS < seconds <= 2 * SECONDS
