"""Several wait for one task."""

from __future__ import annotations

import asyncio
import gc

import pytest

from execution_options.kube.waiting import result_of


async def test_a_waiter_that_gives_up_does_not_end_the_task_of_others() -> None:
    gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(asyncio.wait_for(gate, None))
    stays = asyncio.create_task(result_of(task))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(result_of(task), 0.01)
    gate.set_result(7)
    assert await stays == 7


async def test_a_task_without_waiters_fails_without_a_log() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(asyncio.wait_for(gate, None))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(result_of(task), 0.01)
    gate.set_exception(OSError("down"))
    await asyncio.wait([task])
    del task, gate
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_its_error_reaches_all_who_wait() -> None:
    async def fails() -> None:
        raise OSError("down")

    task = asyncio.create_task(fails())
    first, second = await asyncio.gather(result_of(task), result_of(task), return_exceptions=True)
    assert isinstance(first, OSError)
    assert second is first
    with pytest.raises(OSError, match="down"):
        await result_of(task)
