"""Calls are shared, but nobody is answered by one that began before they asked."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from execution_options.webhook.shared import SharedCalls


class Source:
    """A function whose calls end when the test says so; a result is the number of the call."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.gates: list[asyncio.Future[None]] = []

    async def __call__(self, key: str) -> int:
        self.began.append(key)
        number = len(self.began)
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return number


async def run_ready() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_meanwhile_gets_the_next_call_together() -> None:
    source = Source()
    calls = SharedCalls(source, at_once=1)
    first = asyncio.create_task(calls.call("k"))
    await run_ready()
    later = [asyncio.create_task(calls.call("k")) for _ in range(5)]
    await run_ready()
    assert len(source.began) == 1
    source.gates[0].set_result(None)
    assert await first == 1
    await run_ready()
    assert len(source.began) == 2
    last = asyncio.create_task(calls.call("k"))
    await run_ready()
    source.gates[1].set_result(None)
    assert await asyncio.gather(*later) == [2] * 5
    await run_ready()
    source.gates[2].set_result(None)
    assert await last == 3


async def test_who_asks_at_the_same_time_shares_the_first_call() -> None:
    source = Source()
    calls = SharedCalls(source, at_once=1)
    asked = [asyncio.create_task(calls.call("k")) for _ in range(3)]
    await run_ready()
    source.gates[0].set_result(None)
    assert await asyncio.gather(*asked) == [1, 1, 1]


async def test_some_calls_may_be_under_way_at_once() -> None:
    source = Source()
    calls = SharedCalls(source, at_once=2)
    asked = []
    for _ in range(4):
        asked.append(asyncio.create_task(calls.call("k")))
        await run_ready()
    assert len(source.began) == 2
    source.gates[1].set_result(None)
    assert await asked[1] == 2
    await run_ready()
    assert len(source.began) == 3
    source.gates[2].set_result(None)
    assert await asyncio.gather(*asked[2:]) == [3, 3]
    source.gates[0].set_result(None)
    assert await asked[0] == 1


async def test_keys_do_not_wait_for_each_other() -> None:
    source = Source()
    calls = SharedCalls(source, at_once=1)
    a, b = asyncio.create_task(calls.call("a")), asyncio.create_task(calls.call("b"))
    await run_ready()
    assert source.began == ["a", "b"]
    source.gates[1].set_result(None)
    assert await b == 2
    source.gates[0].set_result(None)
    assert await a == 1


async def test_an_error_reaches_all_who_share_the_call_and_nobody_else() -> None:
    source = Source()
    calls = SharedCalls(source, at_once=1)
    asked = [asyncio.create_task(calls.call("k")) for _ in range(3)]
    await run_ready()
    waiting = asyncio.create_task(calls.call("k"))
    await run_ready()
    source.gates[0].set_exception(OSError("down"))
    assert [type(result) for result in await asyncio.gather(*asked, return_exceptions=True)] == [OSError] * 3
    await run_ready()
    source.gates[1].set_result(None)
    assert await waiting == 2


async def test_who_gives_up_waiting_does_not_end_it_for_the_others() -> None:
    source = Source()
    calls = SharedCalls(source, at_once=1)
    gone, stays = asyncio.create_task(calls.call("k")), asyncio.create_task(calls.call("k"))
    await run_ready()
    gone.cancel()
    await run_ready()
    source.gates[0].set_result(None)
    assert await stays == 1
    assert gone.cancelled()


async def test_a_call_that_nobody_waits_for_any_more_may_fail_in_silence() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    source = Source()
    calls = SharedCalls(source, at_once=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(calls.call("k"), 0.01)
    source.gates[0].set_exception(OSError("down"))
    await run_ready()
    next_one = asyncio.create_task(calls.call("k"))
    await run_ready()
    source.gates[1].set_result(None)
    assert await next_one == 2
    assert complaints == []


async def test_calls_begin_no_closer_together_than_the_pause() -> None:
    began: list[float] = []

    async def read(_: str) -> int:
        began.append(asyncio.get_running_loop().time())
        return len(began)

    calls = SharedCalls(read, at_once=2, pause=0.02)
    assert await calls.call("k") == 1
    assert await asyncio.gather(*(calls.call("k") for _ in range(5))) == [2] * 5
    assert await calls.call("k") == 3
    assert all(later - earlier > 0.019 for earlier, later in pairwise(began))


async def test_nobody_waits_longer_than_the_limit_for_a_turn_or_an_answer() -> None:
    source = Source()
    calls = SharedCalls(source, at_once=1, seconds=0.01)
    asked = [asyncio.create_task(calls.call("k"))]
    await run_ready()
    asked.append(asyncio.create_task(calls.call("k")))
    await asyncio.wait(asked)
    assert [type(task.exception()) for task in asked] == [TimeoutError] * 2
    last = asyncio.create_task(calls.call("k"))
    await run_ready()
    source.gates[-1].set_result(None)
    assert await last == len(source.began)


@pytest.mark.parametrize(("at_once", "pause"), [(1, 0), (3, 0), (2, 0.001)])
async def test_a_call_is_never_older_than_the_question(at_once: int, pause: float) -> None:
    clock = 0
    chance = random.Random(1)

    async def read(_: str) -> int:
        nonlocal clock
        clock += 1
        began = clock
        for _pause in range(chance.randrange(4)):
            await asyncio.sleep(0)
        return began

    calls = SharedCalls(read, at_once, pause)

    async def ask() -> None:
        nonlocal clock
        for _ in range(30):
            for _ in range(chance.randrange(5)):
                await asyncio.sleep(0)
            clock += 1
            asked = clock
            assert await calls.call("k") > asked

    await asyncio.gather(*(ask() for _ in range(10)))
