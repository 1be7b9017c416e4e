"""What is slow for one delays no other; what belongs in line stays in line; what was begun is finished."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from execution_options.controller.runtime.lanes import Lanes, Place
from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.queue import Queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Key = tuple[str, str]


class Desk:
    """Work that goes on until it is let go; the lane is the first letter of the name, of that width."""

    def __init__(self, **widths: int) -> None:
        self.widths = widths
        self.queue: Queue[Key] = Queue()
        self.begun: list[str] = []
        self.most: dict[str, int] = {}
        self.running: list[str] = []
        self.go = {lane: asyncio.Event() for lane in widths}
        self.fail: list[BaseException] = []
        self.lanes = Lanes("work", self.queue, self.place, self.reconcile, Metrics())

    def place(self, key: Key) -> Place:
        return Place(key[1][0], self.widths[key[1][0]])

    async def reconcile(self, key: Key) -> None:
        name = key[1]
        self.begun.append(name)
        self.running.append(name)
        lane = name[0]
        self.most[lane] = max(self.most.get(lane, 0), sum(one[0] == lane for one in self.running))
        try:
            if self.fail:
                raise self.fail.pop()
            await self.go[lane].wait()
        finally:
            self.running.remove(name)

    def add(self, *names: str) -> None:
        for name in names:
            self.queue.add(("team", name))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.lanes.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until_idle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_slow_lane_delays_no_other_and_each_has_its_width() -> None:
    desk = Desk(a=2, b=1)
    desk.go["b"].set()
    desk.add("a1", "a2", "a3", "b1", "b2")
    async with desk.working():
        await until_idle()
        assert desk.begun == ["a1", "a2", "b1", "b2"]
        desk.go["a"].set()
        await until_idle()
    assert desk.begun[-1] == "a3"
    assert desk.most == {"a": 2, "b": 1}


async def test_a_lane_of_one_keeps_the_order() -> None:
    desk = Desk(a=1)
    desk.go["a"].set()
    names = [f"a{number}" for number in range(8)]
    desk.add(*names)
    async with desk.working():
        await until_idle()
    assert desk.begun == names


async def test_what_fails_makes_room_and_is_tried_again() -> None:
    desk = Desk(a=1)
    desk.go["a"].set()
    desk.fail = [TimeoutError()]
    desk.add("a1", "a2")
    async with desk.working():
        await until_idle()
        assert desk.begun == ["a1", "a2"]
        assert len(desk.queue) == 1, "after a pause"


async def test_in_the_end_what_was_begun_is_finished_and_nothing_more_begun() -> None:
    desk = Desk(a=1)
    desk.add("a1", "a2")
    async with desk.working():
        await until_idle()
        ending = asyncio.create_task(desk.lanes.end())
        await until_idle()
        assert not ending.done()
        desk.go["a"].set()
        await asyncio.wait_for(ending, 10)
        desk.add("a3")
        await until_idle()
    assert desk.begun == ["a1"]


async def test_without_the_lease_all_work_ends() -> None:
    desk = Desk(a=2)
    desk.fail = [LeaseLostError("lost")]
    desk.add("a1", "a2")
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(desk.lanes.run(), 10)
    assert raised.group_contains(LeaseLostError)
