"""Keys are handed out once, in time, and again after a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from execution_options.controller.runtime.conflicts import ConflictError
from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.queue import Queue
from execution_options.controller.runtime.ratelimit import LEAST, Pace, TokenBucket
from execution_options.controller.runtime.workers import work
from support.fakes import Clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def taken(queue: Queue[str]) -> str | None:
    """What is due now."""
    try:
        return await asyncio.wait_for(queue.take(), 0.01)
    except TimeoutError:
        return None


async def test_a_key_waits_once_and_for_its_time() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add("later", 10)
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await taken(queue), await taken(queue), await taken(queue)] == ["a", "b", None]
    clock.now += 10
    assert await taken(queue) == "later"
    assert len(queue) == 0


async def test_a_key_is_brought_forward_and_never_put_off() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add("a", 10)
    queue.add("a", 60)
    queue.add("a", 1)
    clock.now += 1
    assert await taken(queue) == "a"
    queue.done("a")
    clock.now += 100
    assert await taken(queue) is None


async def test_a_key_that_changes_while_it_is_worked_on_comes_again_afterwards() -> None:
    queue: Queue[str] = Queue(Clock())
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("a")
    assert await taken(queue) is None
    queue.done("a")
    assert await taken(queue) == "a"


async def test_failures_pause_longer_and_longer_until_one_success() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add("a")
    pauses = []
    for _ in range(20):
        assert await taken(queue) == "a"
        pauses.append(queue.failed("a"))
        # A change does not shorten the pause: the failure may be what causes it.
        queue.add("a")
        assert await taken(queue) is None
        clock.now += pauses[-1]
    assert pauses[0] <= 0.2
    assert 30 <= pauses[-1] <= 60
    await queue.take()
    queue.done("a")
    queue.add("a")
    await queue.take()
    assert queue.failed("a") <= 0.2


async def test_waiting_ends_when_something_comes() -> None:
    queue: Queue[str] = Queue()
    waiting = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add("a", 0.01)
    assert await asyncio.wait_for(waiting, 5) == "a"


@pytest.mark.parametrize("steps", range(4))
async def test_who_is_told_to_stop_while_something_comes_stops(steps: int) -> None:
    queue: Queue[str] = Queue()
    queue.add("much later", 600)
    waiting = asyncio.create_task(queue.take())
    await asyncio.sleep(0.01)
    queue.add("later", 60)
    for _ in range(steps):
        await asyncio.sleep(0)
    waiting.cancel()
    ended, _ = await asyncio.wait([waiting], timeout=1)
    assert ended


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 5, clock)
    assert [bucket.reserve() for _ in range(7)] == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2])
    clock.now += 100
    assert [bucket.reserve() for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.1])


def test_a_pace_halves_once_for_all_that_are_refused_together_and_comes_back_little_by_little() -> None:
    clock = Clock()
    pace = Pace(100, clock)
    for _ in range(5):
        pace.refused()
    assert pace.rate == 50
    clock.now += 1
    pace.refused(3)
    assert pace.rate == 25
    for _ in range(20):
        clock.now += 1
        pace.refused()
    assert pace.rate == LEAST
    before = pace.rate
    for _ in range(int(before)):
        pace.accepted()
    assert pace.rate == pytest.approx(before + 5), "a twentieth of the most in a second"
    for _ in range(10_000):
        pace.accepted()
    assert pace.rate == 100


def worker(reconcile: Callable[[str], Awaitable[float | None]]) -> tuple[Queue[str], asyncio.Task[None], Metrics]:
    queue: Queue[str] = Queue()
    metrics = Metrics()
    return queue, asyncio.create_task(work("test", queue, reconcile, metrics)), metrics


@pytest.mark.parametrize("error", [ConflictError("again"), TimeoutError(), ZeroDivisionError("a bug")])
async def test_one_object_that_fails_stops_no_other(error: Exception) -> None:
    done: list[str] = []
    both = asyncio.Event()
    failures = iter([error])

    async def reconcile(key: str) -> None:
        if key == "bad" and (problem := next(failures, None)) is not None:
            raise problem
        done.append(key)
        if len(done) == 2:
            both.set()

    queue, task, metrics = worker(reconcile)
    queue.add("bad")
    queue.add("good")
    await asyncio.wait_for(both.wait(), 5)
    assert done == ["good", "bad"]
    task.cancel()
    value = metrics.registry.get_sample_value
    assert value("execution_options_reconciles_total", {"queue": "test", "result": "error"}) == 1


async def test_a_lost_lease_ends_the_worker() -> None:
    async def reconcile(_key: str) -> None:
        raise LeaseLostError("lost")

    queue, task, _ = worker(reconcile)
    queue.add("a")
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(task, 5)
