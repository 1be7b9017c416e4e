"""What does not advance is told by ``/healthz`` and the log, and what only fails is not."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from execution_options import watchdog as watchdog_module
from execution_options.controller.runtime.lease import Elector, LeaseLostError, Timing
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.queue import Queue
from execution_options.controller.runtime.ratelimit import SharedBucket
from execution_options.controller.runtime.workers import attempt
from execution_options.health import health_app
from execution_options.kube.client import ApiError
from execution_options.serving import Port
from execution_options.watchdog import BEAT_SECONDS, Watchdog
from support.listwatch import Collection, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

BOUND = 1.0


@asynccontextmanager
async def probed(watchdog: Watchdog) -> AsyncIterator[Callable[[], Any]]:
    """Runs a watchdog; asks ``/healthz`` as kubelet does."""
    registry = CollectorRegistry()
    port = Port(health_app(watchdog.late, lambda: "", registry))
    number = await port.open("127.0.0.1", 0)
    running = asyncio.create_task(watchdog.run())
    async with aiohttp.ClientSession() as session:

        async def probe() -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{number}/healthz") as answer:
                return answer.status, await answer.text()

        try:
            yield probe
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await port.close()


async def until(probe: Callable[[], Any], status: int) -> str:
    async with asyncio.timeout(20):
        while True:
            found, text = await probe()
            if found == status:
                return str(text)
            await asyncio.sleep(0.02)


async def message(text: str, caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(20):
        while True:
            if text in caplog.text:
                return
            await asyncio.sleep(BEAT_SECONDS)


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog(CollectorRegistry())


async def test_what_does_not_advance_within_its_bound_fails_the_probe_until_it_does(
    watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "execution_options")
    async with probed(watchdog) as probe:
        with watchdog.expect("the work", BOUND) as work:
            assert await probe() == (200, "ok")
            assert (await until(probe, 503)).startswith("the work has not advanced for ")
            await message("the work has not advanced for ", caplog)
            work.advance()
            assert (await probe())[0] == 200
            await message("the work advances again", caplog)
            await until(probe, 503)
        assert await probe() == (200, "ok")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog_module, "HELD_SECONDS", 0.3)
    monkeypatch.setattr(watchdog_module, "SAMPLE_SECONDS", 0.05)


def hold(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.usefixtures("impatient")
async def test_what_holds_the_event_loop_is_logged_with_its_stack_and_measured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    registry = CollectorRegistry()
    async with probed(Watchdog(registry)) as probe:
        await asyncio.sleep(0.2)
        hold(1.5)
        assert (await probe())[0] == 200
        await asyncio.sleep(0.3)
    (held,) = [text for record in caplog.records if "is held for more" in (text := record.getMessage())]
    assert "in hold\n" in held
    (ended,) = [text for record in caplog.records if "was held for" in (text := record.getMessage())]
    assert float(ended.partition(" for ")[2].partition(" s")[0]) > 1.0
    name = "execution_options_loop_delay_seconds"
    count = registry.get_sample_value(f"{name}_count") or 0
    assert (registry.get_sample_value(f"{name}_bucket", {"le": "1.0"}) or 0) < count


@pytest.mark.usefixtures("impatient")
async def test_each_time_that_the_event_loop_is_held_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with probed(Watchdog(CollectorRegistry())):
        for _ in range(2):
            await asyncio.sleep(0.3)
            hold(1.0)
        await asyncio.sleep(0.3)
    assert sum("is held for more" in record.getMessage() for record in caplog.records) == 2


# Workers.


@asynccontextmanager
async def reconciling(reconcile: Callable[[str], Any], metrics: Metrics) -> AsyncIterator[asyncio.Task[None]]:
    queue: Queue[str] = Queue()
    queue.add("secret-name")
    task = asyncio.create_task(attempt("things", queue, await queue.take(), reconcile, metrics, BOUND))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_reconcile_that_does_not_return_fails_the_probe_without_a_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, free = Metrics(), asyncio.Event()

    async def reconcile(_: str) -> None:
        await free.wait()

    async with probed(metrics.watchdog) as probe, reconciling(reconcile, metrics) as task:
        text = await until(probe, 503)
        assert text.startswith("a worker of the queue things has not advanced for ")
        assert "secret-name" not in text
        await asyncio.sleep(0.2)
        free.set()
        await task
        assert await probe() == (200, "ok")
    assert "(secret-name)" in caplog.text


async def test_a_request_that_hangs_fails_the_probe_until_its_time_is_over(tmp_path: Path) -> None:
    metrics, collection = Metrics(), Collection()
    collection.hang = True
    async with serving(collection, tmp_path) as kube:

        async def reconcile(_: str) -> None:
            await kube.get(collection.path, seconds=3 * BOUND)

        async with probed(metrics.watchdog) as probe, reconciling(reconcile, metrics) as task:
            await until(probe, 503)
            await task
            assert await probe() == (200, "ok")
    assert metrics.registry.get_sample_value("execution_options_reconciles_total", _result("error")) == 1


def _result(result: str) -> dict[str, str]:
    return {"queue": "things", "result": result}


async def test_many_steps_may_take_longer_than_one(tmp_path: Path) -> None:
    metrics, collection = Metrics(), Collection()
    late: list[str] = []
    async with serving(collection, tmp_path) as kube:

        async def reconcile(_: str) -> None:
            for _step in range(20):
                await kube.get(collection.path)
                await asyncio.sleep(BOUND / 10)
                late.append(metrics.watchdog.late())

        async with reconciling(reconcile, metrics) as task:
            began = time.monotonic()
            await task
    assert time.monotonic() - began > BOUND
    assert late == [""] * 20


async def test_who_waits_for_a_turn_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution_options.controller.runtime.ratelimit.STEP_SECONDS", BOUND / 10)
    metrics, bucket = Metrics(), SharedBucket(1 / (BOUND * 3), 1)
    await bucket.take("a")

    async def reconcile(_: str) -> None:
        await bucket.take("a")

    async with reconciling(reconcile, metrics) as task:
        while not task.done():
            assert metrics.watchdog.late() == ""
            await asyncio.sleep(0.01)


# The Lease.


class Away:
    """An API server that does not answer."""

    async def request(self, *_: Any, **__: Any) -> bytes:
        raise ApiError(503, "ServiceUnavailable", "away")

    get = replace = create = request


@pytest.fixture
def lease(watchdog: Watchdog) -> Iterator[Elector]:
    with watchdog.expect("the Lease", BOUND) as beat:
        away: Any = Away()
        yield Elector(away, "ns", "name", "me", Timing(0.4), tried=beat.advance)


async def test_who_waits_for_the_api_server_to_take_the_lease_is_alive(watchdog: Watchdog, lease: Elector) -> None:
    waiting = asyncio.create_task(lease.acquire())
    async with probed(watchdog) as probe:
        for _ in range(30):
            assert await probe() == (200, "ok")
            await asyncio.sleep(BOUND / 10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        # Whoever does not even try any more is not.
        await until(probe, 503)


async def test_who_lost_the_lease_and_does_not_end_is_dead(watchdog: Watchdog, lease: Elector) -> None:
    async with probed(watchdog) as probe:
        with pytest.raises(LeaseLostError):
            await lease.keep()
        assert (await until(probe, 503)).startswith("the Lease has not advanced")
