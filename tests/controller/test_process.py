"""The process says what it waits for, notices what makes no progress, and ends if a part of it does."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from execution_options.api import names
from execution_options.controller.process import WATCH_SECONDS, WATCHED

if TYPE_CHECKING:
    import pytest

    from execution_options.controller.process import Process

GROUP = f"/apis/{names.GROUP}/{names.VERSION}"


async def test_it_waits_for_its_kinds_then_for_the_lists_and_is_then_ready_to_take_over(process: Process) -> None:
    assert await process._missing_kinds() == "execution.dev/v1beta1 is not installed in the cluster"
    assert process.missing() == "the cluster is not asked yet which kinds it has"
    process._unserved = ""
    assert process.missing() == "not everything is listed yet"
    list_everything(process)
    assert process.missing() == ""


async def test_with_the_lease_it_is_ready_only_once_it_works(process: Process) -> None:
    process._unserved = ""
    list_everything(process)
    process.parts.elector._until = float("inf")
    assert process.missing().startswith("this controller has the Lease, and does not work yet")
    process.parts.changes.active = True
    assert process.missing().startswith("this controller works, but for notifications or pods")
    process.parts.outbox.ends.active = True
    process.parts.parallelism.synced = True
    assert process.missing() == ""
    process._stopping = True
    assert process.missing() == "stopping"


def list_everything(process: Process) -> None:
    """As if every collection were listed."""
    parts = process.parts
    parts.engines._ready.set()
    for mirror in parts.index._mirrors.values():
        mirror.synced.set()
    for store in (*parts.world._stores(), *parts.outbox._stores(), parts.artifacts._given, parts.artifacts._rendered):
        store.synced.set()
    for engine in parts.world.engines:
        store_of = parts.world.executions.of(engine)
        if store_of is not None:
            store_of.answered.set()


async def test_each_watch_advances_by_its_own_requests_alone(process: Process) -> None:
    for watch in process._watches.values():
        process._expected.enter_context(watch)
        watch.at -= WATCH_SECONDS + 1
    for plural in WATCHED:
        assert f"kopf's watch of {plural} has not advanced" in process.late()
        process._advanced(f"{GROUP}/{plural}")
        assert f"kopf's watch of {plural} has not advanced" not in process.late()
    assert process.late() == ""
    process._expected.close()


async def test_a_watch_that_kopf_has_not_begun_advances_while_kopf_finds_out_which_kinds_there_are(
    process: Process,
) -> None:
    for watch in process._watches.values():
        process._expected.enter_context(watch)
        watch.at -= WATCH_SECONDS + 1
    first, *others = WATCHED
    process._advanced(f"{GROUP}/{first}")
    process._watches[first].at -= WATCH_SECONDS + 1
    process._advanced(f"/apis/{names.GROUP}")
    assert f"kopf's watch of {first} has not advanced" in process.late()
    assert [plural for plural in others if f"kopf's watch of {plural} " in process.late()] == []
    process._expected.close()


async def test_a_list_of_kopfs_is_followed_by_one_that_shows_what_is_gone(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    monkeypatch.setattr(process.parts.index, "relist", listed.append)
    monkeypatch.setattr(process.parts.directory.store, "relist", lambda: listed.append(names.CHANNEL_KIND))
    monkeypatch.setattr(process.parts.engines.store, "relist", lambda: listed.append(names.ENGINE_KIND))
    for path in (GROUP, *(f"{GROUP}/{plural}" for plural in WATCHED)):
        process._listed(path)
    assert listed == [names.OPTIONS_KIND, names.CLUSTER_OPTIONS_KIND, names.CHANNEL_KIND, names.ENGINE_KIND]


async def test_the_end_of_a_task_ends_the_process_once(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", signals.append)
    failure = RuntimeError("a bug")

    async def fail() -> None:
        raise failure

    for _ in range(2):
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        process._ended(task)
    assert signals == [signal.SIGTERM]
    assert process._failure is failure


async def test_a_cancelled_task_does_not_end_the_process(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", signals.append)
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await asyncio.wait([task])
    process._ended(task)
    assert signals == []
