"""What many want at once is shared by turns: nobody starves, order stays within a share, and no room is left unused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.fairness import LARGE_WORK, BusyError, Processor, RoundRobin, Turns, wait_until

SHARES = st.sampled_from("abcd")


@given(st.lists(SHARES, max_size=60), st.data())
def test_what_waits_is_served_by_turns_and_in_order(shares: list[str], data: st.DataObject) -> None:
    waiting: RoundRobin[int] = RoundRobin()
    expected: defaultdict[str, list[int]] = defaultdict(list)
    passed: dict[str, int] = {}
    """By share that waits: how many others were served since its last turn."""
    for number, share in enumerate(shares):
        waiting.add(share, number)
        expected[share].append(number)
        passed.setdefault(share, 0)
        assert len(waiting) == sum(map(len, expected.values()))
        if data.draw(st.booleans()):
            found = waiting.take()
            assert found is not None
            served, item = found
            assert item == expected[str(served)].pop(0)
            for other in passed:
                passed[other] += 1
            passed = {one: 0 if one == served else count for one, count in passed.items() if expected[one]}
            assert all(count <= 2 * len("abcd") for count in passed.values())
    while (found := waiting.take()) is not None:
        assert found[1] == expected[str(found[0])].pop(0)
    assert not any(expected.values())


@given(st.lists(SHARES, min_size=1, max_size=40))
def test_what_does_not_fit_is_taken_from_whoever_has_most(shares: list[str]) -> None:
    waiting: RoundRobin[int] = RoundRobin()
    for number, share in enumerate(shares):
        waiting.add(share, number)
    dropped = waiting.drop_from_longest()
    assert dropped is not None
    assert shares.count(str(dropped[0])) == max(map(shares.count, shares))
    assert dropped[1] == max(number for number, share in enumerate(shares) if share == dropped[0])
    assert len(waiting) == len(shares) - 1


@given(
    st.lists(st.tuples(SHARES, st.integers(0, 3)), max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sets(st.integers(0, 39)),
)
def test_turns_keep_their_bounds_use_all_room_and_lose_none(
    jobs: list[tuple[str, int]], total: int, each: int, cancelled: set[int]
) -> None:
    begun: defaultdict[str, list[int]] = defaultdict(list)
    under_way: defaultdict[str, int] = defaultdict(int)
    wanting: defaultdict[str, int] = defaultdict(int)

    async def job(turns: Turns, number: int, share: str, steps: int) -> None:
        wanting[share] += 1
        try:
            async with turns.turn(share):
                begun[share].append(number)
                under_way[share] += 1
                assert under_way[share] <= each
                assert sum(under_way.values()) <= total
                for _ in range(steps):
                    await asyncio.sleep(0)
                under_way[share] -= 1
        finally:
            wanting[share] -= 1

    async def run() -> None:
        turns = Turns(total, each)
        tasks = [asyncio.create_task(job(turns, number, *one)) for number, one in enumerate(jobs)]
        await asyncio.sleep(0)
        possible = min(total, sum(min(each, wanted) for wanted in wanting.values()))
        assert sum(under_way.values()) >= min(1, possible)
        waiting = [n for n, (share, _) in enumerate(jobs) if n not in begun[share]]
        for number in cancelled & set(waiting):
            tasks[number].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        for task in tasks:
            if not task.cancelled():
                task.result()
        async with asyncio.timeout(1), turns.turn("z"):
            pass

    asyncio.run(run())
    assert all(numbers == sorted(numbers) for numbers in begun.values())
    kept = {number for numbers in begun.values() for number in numbers}
    assert kept >= set(range(len(jobs))) - cancelled


async def test_whoever_waits_too_long_is_told() -> None:
    turns = Turns(1, 1, 0.01)
    async with turns.turn("a"):
        with pytest.raises(BusyError):
            async with turns.turn("b"):
                pass
    async with turns.turn("b"):
        pass


async def test_no_wait_lasts_beyond_the_deadline_of_its_task() -> None:
    turns, processor, may = Turns(1, 1), Processor(), threading.Event()

    async def large(deadline: float) -> bool:
        wait_until(deadline)
        return await processor.run("large", LARGE_WORK, lambda: may.wait(10))

    async def room(deadline: float) -> None:
        wait_until(deadline)
        async with turns.turn("room"):
            pass

    soon, later = (asyncio.get_running_loop().time() + seconds for seconds in (0.05, 60))
    first = asyncio.create_task(large(soon))
    async with turns.turn("a"):
        await asyncio.sleep(0.01)
        given_up = await asyncio.gather(large(soon), room(soon), return_exceptions=True)
        assert [type(one) for one in given_up] == [BusyError, BusyError]
        waiting = [asyncio.create_task(large(later)), asyncio.create_task(room(later))]
        await asyncio.sleep(0.01)
        may.set()
    assert await asyncio.gather(first, *waiting) == [True, True, None]


async def test_no_wait_for_the_event_loop_lasts_beyond_the_deadline_of_its_task() -> None:
    processor = Processor()

    async def piece() -> bool:
        wait_until(asyncio.get_running_loop().time() + 0.02)
        await processor.turn("a")
        time.sleep(0.05)  # a decision  # noqa: ASYNC251
        return True

    first, *_, last = await asyncio.gather(*(piece() for _ in range(8)), return_exceptions=True)
    assert first is True
    assert isinstance(last, BusyError)
    assert await piece()


async def test_a_share_never_has_all_room() -> None:
    turns, order = Turns(2, 1), list[str]()
    leave = asyncio.Event()

    async def long(share: str) -> None:
        async with turns.turn(share):
            order.append(share)
            await leave.wait()

    tasks = [asyncio.create_task(long(share)) for share in ("noisy", "noisy", "noisy", "quiet")]
    await asyncio.sleep(0.01)
    assert order == ["noisy", "quiet"]
    leave.set()
    await asyncio.gather(*tasks)


@given(st.lists(SHARES, max_size=40))
def test_the_processor_serves_shares_in_turn(shares: list[str]) -> None:
    done: list[tuple[str, int]] = []

    async def piece(processor: Processor, share: str, number: int) -> None:
        await processor.turn(share)
        await processor.turn(share)  # it is that task's still
        done.append((share, number))

    async def run() -> None:
        processor = Processor()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            for number, share in enumerate(shares):
                group.create_task(piece(processor, share, number))

    asyncio.run(run())
    assert len(done) == len(shares)
    for share in set(shares):
        mine = [number for one, number in done if one == share]
        assert mine == sorted(mine)
    for at in range(1, len(done)):
        left = {share for share, _ in done[at:]}
        ahead = [share for share, _ in done[at : at + len(left)]]
        assert len(set(ahead)) == len(ahead)  # each of those that wait before any twice


async def test_what_comes_later_need_not_wait_for_all_that_was_ready_before() -> None:
    processor, done = Processor(), list[str]()
    loop = asyncio.get_running_loop()

    async def piece(share: str) -> None:
        await processor.turn(share)
        done.append(share)
        if done == ["noisy"]:
            # As if it came over the network meanwhile.
            loop.call_soon(lambda: later.append(asyncio.create_task(piece("quiet"))))

    later: list[asyncio.Task[None]] = []
    await asyncio.gather(*(piece("noisy") for _ in range(100)))
    await asyncio.gather(*later)
    assert done.index("quiet") < 6


async def test_a_piece_that_is_given_up_holds_up_nobody() -> None:
    processor, done = Processor(), list[str]()

    async def piece(share: str) -> None:
        await processor.turn(share)
        done.append(share)

    tasks = [asyncio.create_task(piece(share)) for share in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert done == ["a", "c"]


async def test_work_on_large_objects_leaves_the_loop_to_others_and_is_done_one_after_the_other() -> None:
    processor = Processor()
    going, most = 0, 0
    seen, free = threading.Event(), threading.Event()

    def work() -> int:
        nonlocal going, most
        going += 1
        most = max(most, going)
        seen.set()
        assert free.wait(10)
        going -= 1
        return threading.get_ident()

    async def small() -> int:
        return await processor.run("quiet", LARGE_WORK - 1, threading.get_ident)

    large = [asyncio.create_task(processor.run(share, LARGE_WORK, work)) for share in "aab"]
    await asyncio.to_thread(seen.wait, 10)
    here = threading.get_ident()
    assert await small() == here
    free.set()
    assert here not in await asyncio.gather(*large)
    assert most == 1


async def test_what_work_raises_is_raised_wherever_it_is_done() -> None:
    def fails() -> None:
        raise KeyError("a")

    for size in (0, LARGE_WORK):
        with pytest.raises(KeyError):
            await Processor().run("a", size, fails)
