"""What the controller does for many is shared by namespace: keys, writes, Events, and what waits for others."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from execution_options.controller.runtime import events, lanes
from execution_options.controller.runtime.events import Recorder
from execution_options.controller.runtime.lanes import Lanes, Place
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.queue import Queue
from execution_options.controller.runtime.ratelimit import SharedBucket
from execution_options.status.events import Announcement, Regarding
from support.fakes import Clock

if TYPE_CHECKING:
    import pytest

Key = tuple[str, str]
NAMESPACES = st.sampled_from("abc")


async def until(check: Any) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


# Keys.


@given(st.lists(st.tuples(NAMESPACES, st.integers(0, 5)), max_size=40))
def test_keys_that_are_due_are_handed_out_by_turns_and_in_their_order(wanted: list[tuple[str, int]]) -> None:
    async def run() -> list[Key]:
        clock = Clock()
        queue: Queue[Key] = Queue(clock)
        for number, (namespace, after) in enumerate(wanted):
            queue.add((namespace, f"{after}-{number:02}"), after)
        clock.now += 10
        taken = [await queue.take() for _ in wanted]
        assert len(queue) == 0
        return taken

    taken = asyncio.run(run())
    assert len(set(taken)) == len(wanted)
    for namespace in "abc":
        mine = [name for of, name in taken if of == namespace]
        assert mine == sorted(mine)
    for at in range(len(taken)):
        left = {namespace for namespace, _ in taken[at:]}
        ahead = [namespace for namespace, _ in taken[at : at + len(left)]]
        assert len(set(ahead)) == len(left)


async def test_a_worker_is_free_for_others_than_the_namespace_that_has_all_the_others() -> None:
    queue: Queue[Key] = Queue(each=2)
    for number in range(5):
        queue.add(("noisy", str(number)))
    assert [await queue.take(), await queue.take()] == [("noisy", "0"), ("noisy", "1")]
    third = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add(("quiet", "0"))
    assert await third == ("quiet", "0")
    fourth = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    assert not fourth.done()
    queue.done(("noisy", "0"))
    assert await fourth == ("noisy", "2")


async def test_a_key_that_is_due_is_not_handed_out_twice() -> None:
    clock = Clock()
    queue: Queue[Key] = Queue(clock)
    queue.add(("a", "1"))
    queue.add(("a", "2"))
    assert await queue.take() == ("a", "1")  # and the other one is ready
    queue.add(("a", "2"))
    queue.add(("a", "2"), 5)
    assert await queue.take() == ("a", "2")
    queue.done(("a", "2"))
    clock.now += 10
    assert len(queue) == 0


# Events.


class Writer:
    """Keeps what it is to write."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def create(self, _collection: str, body: dict[str, Any]) -> None:
        self.bodies.append(body)


def message(recorder: Recorder, namespace: str, number: int, kind: str) -> None:
    regarding = Regarding("batch/v1", "Job", namespace, f"{kind}-{number}", f"{namespace}-{number}")
    announcement: Any = Announcement(kind, "AdmissionMissed", "Repair", f"{kind} {number}")  # type: ignore[arg-type]
    recorder.post_on(regarding, announcement)


def recorder(writer: Writer, metrics: Metrics) -> Recorder:
    return Recorder(writer, SharedBucket(1e6, 10_000), metrics, "me")  # type: ignore[arg-type]


async def posted(made: Recorder, writer: Writer, count: int) -> list[tuple[str, str]]:
    task = asyncio.create_task(made.run())
    await until(lambda: len(writer.bodies) == count)
    task.cancel()
    return [(body["metadata"]["namespace"], body["type"]) for body in writer.bodies]


async def test_warnings_do_not_wait_behind_successes_nor_behind_another_namespace() -> None:
    writer = Writer()
    made = recorder(writer, Metrics())
    for number in range(50):
        message(made, "noisy", number, "Normal")
        message(made, "noisy", number, "Warning")
    message(made, "quiet", 0, "Warning")
    message(made, "quiet", 0, "Normal")
    order = await posted(made, writer, 102)
    assert order.index(("quiet", "Warning")) <= 1
    # What is no warning has a turn, too.
    assert order.index(("noisy", "Normal")) <= events.NORMAL_AFTER
    assert order.index(("quiet", "Normal")) <= 2 * events.NORMAL_AFTER + 1


async def test_where_too_many_events_wait_the_noisy_namespace_loses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_WAITING", 20)
    writer, metrics = Writer(), Metrics()
    made = recorder(writer, metrics)
    message(made, "quiet", 0, "Normal")
    for number in range(30):
        message(made, "noisy", number, "Normal")
    for number in range(5):
        message(made, "quiet", number, "Warning")
    order = Counter(await posted(made, writer, 20))
    assert order == {("quiet", "Normal"): 1, ("quiet", "Warning"): 5, ("noisy", "Normal"): 14}
    assert metrics.registry.get_sample_value("execution_options_events_total", {"result": "dropped"}) == 16


# Lanes.


class Slow:
    """Work that ends when it may, by lane."""

    def __init__(self) -> None:
        self.begun: list[Key] = []
        self.may: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def reconcile(self, key: Key) -> None:
        self.begun.append(key)
        await self.may[key[1].partition("-")[0]].wait()


def working(slow: Slow, width: int) -> tuple[Queue[Key], asyncio.Task[None]]:
    queue: Queue[Key] = Queue()
    made: Lanes[Key] = Lanes(
        "test", queue, lambda key: Place(key[1].partition("-")[0], width), slow.reconcile, Metrics()
    )
    return queue, asyncio.create_task(made.run())


async def test_a_lane_that_namespaces_share_serves_them_by_turns() -> None:
    slow = Slow()
    slow.may["shared"].set()
    queue, task = working(slow, 1)
    for number in range(50):
        queue.add(("noisy", f"shared-{number}"))
    queue.add(("quiet", "shared-0"))
    await until(lambda: len(slow.begun) == 51)
    assert slow.begun.index(("quiet", "shared-0")) <= 2
    assert [key for key in slow.begun if key[0] == "noisy"] == [("noisy", f"shared-{number}") for number in range(50)]
    task.cancel()


async def test_slow_receivers_of_one_namespace_take_no_room_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "AT_ONCE_OF_ONE", 4)
    slow = Slow()
    queue, task = working(slow, 2)
    for lane in range(5):
        for number in range(3):
            queue.add(("noisy", f"slow{lane}-{number}"))
    await until(lambda: len(slow.begun) == 4)
    queue.add(("noisy", "shared-0"))
    queue.add(("quiet", "shared-0"))
    await until(lambda: ("quiet", "shared-0") in slow.begun)
    assert ("noisy", "shared-0") not in slow.begun
    # What had no room is worked on as soon as there is some, and all of it.
    for lane in range(5):
        slow.may[f"slow{lane}"].set()
    slow.may["shared"].set()
    await until(lambda: len(slow.begun) == 17)
    task.cancel()
