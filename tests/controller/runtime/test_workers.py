"""A worker goes on after a failure, and ends with the lease."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from execution_options.controller.runtime.conflicts import ConflictError
from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.queue import Queue
from execution_options.controller.runtime.workers import work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


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


async def test_a_reconcile_may_ask_to_be_called_again() -> None:
    calls: list[str] = []
    second = asyncio.Event()

    async def reconcile(key: str) -> float | None:
        calls.append(key)
        if len(calls) == 2:
            second.set()
        return 0.0 if len(calls) == 1 else None

    queue, task, metrics = worker(reconcile)
    queue.add("a")
    await asyncio.wait_for(second.wait(), 5)
    task.cancel()
    assert calls == ["a", "a"]
    value = metrics.registry.get_sample_value
    assert value("execution_options_reconciles_total", {"queue": "test", "result": "error"}) is None
