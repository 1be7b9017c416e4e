"""Keys are handed out once, in time, and again after a failure."""

from __future__ import annotations

import asyncio

import pytest

from execution_options.controller.runtime.queue import Queue
from support.fakes import Clock


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
