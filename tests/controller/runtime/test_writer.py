"""Whoever stops writing can say when nothing that was sent can be carried out any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.controller.runtime.writer import AT_ONCE_OF_ONE, Writer
from execution_options.kube.client import ApiError, error_of
from support.fakes import FakeApi

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60.0


class Slow(FakeApi):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []
        """Paths."""
        self.answer = asyncio.Event()

    async def request(self, method: str, path: str, *, body: Any = None, **options: Any) -> bytes:
        self.begun.append(path)
        await self.answer.wait()
        return await super().request(method, path, body=body, **options)


def writer(api: FakeApi, seconds: float = SECONDS, holds: Callable[[], bool] = lambda: True) -> Writer:
    return Writer(api, holds, seconds)  # type: ignore[arg-type]


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
    while not api.begun:
        await asyncio.wait([task], timeout=0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await writing.finish()
    (seconds,) = slept
    assert SECONDS < seconds <= 2 * SECONDS


def things(namespace: str, name: str) -> str:
    return f"/apis/example.com/v1/namespaces/{namespace}/things/{name}"


async def begin(writer: Writer, *paths: str) -> list[asyncio.Task[None]]:
    """Deletions that have been sent, or wait for their turn."""
    tasks = [asyncio.create_task(writer.delete(path, {})) for path in paths]
    await asyncio.sleep(0)
    return tasks


async def test_a_namespace_that_writes_much_waits_for_itself_alone() -> None:
    api = Slow()
    writing = writer(api)
    tasks = await begin(writing, *(things("noisy", str(number)) for number in range(2 * AT_ONCE_OF_ONE)))
    tasks += await begin(writing, things("quiet", "a"), "/apis/example.com/v1/clusterthings/a")
    paths = [*api.begun]
    assert paths[:AT_ONCE_OF_ONE] == [things("noisy", str(number)) for number in range(AT_ONCE_OF_ONE)]
    assert paths[AT_ONCE_OF_ONE:] == [things("quiet", "a"), "/apis/example.com/v1/clusterthings/a"]
    api.answer.set()
    assert all(isinstance(one, ApiError) for one in await asyncio.gather(*tasks, return_exceptions=True))
    assert len(api.begun) == len(tasks)


async def test_what_waited_for_its_turn_is_not_sent_once_the_lease_is_lost() -> None:
    api, held = Slow(), True
    writing = writer(api, holds=lambda: held)
    tasks = await begin(writing, *(things("noisy", str(number)) for number in range(AT_ONCE_OF_ONE + 1)))
    held = False
    api.answer.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [ApiError] * AT_ONCE_OF_ONE + [LeaseLostError]
    assert len(api.begun) == AT_ONCE_OF_ONE


async def test_a_write_that_waits_longer_than_one_may_take_is_given_up_unsent() -> None:
    api = Slow()
    writing = writer(api, seconds=0.05)
    tasks = await begin(writing, *(things("noisy", str(number)) for number in range(AT_ONCE_OF_ONE + 1)))
    with pytest.raises(TimeoutError, match="other writes to noisy took"):
        await tasks.pop()
    assert len(api.begun) == AT_ONCE_OF_ONE
    api.answer.set()
    await asyncio.gather(*tasks, return_exceptions=True)
