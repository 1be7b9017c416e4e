"""Rates are kept, namespaces share them fairly, and an overloaded API server is spared."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.controller.runtime.ratelimit import LEAST, Pace, SharedBucket, TokenBucket
from support.fakes import Clock

NAMESPACES = st.sampled_from("abc")


def now(awaitable: Any) -> bool:
    """Whether something is done without waiting."""
    coroutine = awaitable.__await__()
    try:
        next(coroutine)
    except StopIteration:
        return True
    coroutine.close()
    return False


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


async def test_a_namespace_that_writes_little_need_not_wait_for_one_that_writes_much() -> None:
    bucket = SharedBucket(0.001, 20)
    assert [now(bucket.take("noisy")) for _ in range(30)].count(True) == 10
    assert [now(bucket.take("quiet")) for _ in range(5)] == [True] * 5


async def test_one_namespace_alone_has_the_whole_rate_and_no_more() -> None:
    bucket, began = SharedBucket(500, 20), time.monotonic()
    await asyncio.gather(*(bucket.take("one") for _ in range(120)))
    took = time.monotonic() - began
    assert took >= (120 - 20) / 500
    assert took < 20


@given(st.lists(NAMESPACES, min_size=1, max_size=60))
def test_who_waits_to_write_is_served_by_turns_and_nobody_starves(shares: list[str]) -> None:
    served: list[tuple[str, int]] = []

    async def run() -> None:
        bucket = SharedBucket(4000, 2)

        async def one(number: int, share: str) -> None:
            await bucket.take(share)
            served.append((share, number))

        async with asyncio.timeout(20):
            await asyncio.gather(*(one(number, share) for number, share in enumerate(shares)))

    asyncio.run(run())
    assert len(served) == len(shares)
    for share in "abc":
        mine = [number for of, number in served if of == share]
        assert mine == sorted(mine)
