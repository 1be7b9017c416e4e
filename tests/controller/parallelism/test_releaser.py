"""No answer of an API server, and of whatever stands before it, lets more run than the cap allows."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from execution_options.api.keys import GroupKey
from execution_options.controller.parallelism import releaser as releaser_module
from execution_options.controller.parallelism.releaser import Releaser
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.writer import Writer
from execution_options.kube.client import ApiError, error_of
from support.board import NAMESPACE, Cluster, pod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from execution_options.parallelism.groups import Group
    from execution_options.parallelism.slots import Slots

SECONDS = 0.2
BUSY = error_of(429, b"Too many requests, please try again later.")
ANSWERS: dict[str, Callable[[], Exception]] = {
    "busy": lambda: BUSY,
    "no answer": TimeoutError,
    "a proxy's page": lambda: error_of(404, b"404 page not found"),
    "a proxy's refusal": lambda: error_of(403, b"<html>blocked</html>"),
}


class Pods:
    """Pods of an API server, and what goes wrong on the way to it."""

    def __init__(self, names: list[str]) -> None:
        self.gated = dict.fromkeys(names, True)
        self.sent: Counter[str] = Counter()
        self.before: Callable[[str], None] = lambda _: None
        """May raise instead of what is asked."""
        self.after: Callable[[str], None] = lambda _: None
        """May raise instead of the answer."""

    async def request(self, method: str, path: str, **_: Any) -> bytes:
        assert method == "PATCH"
        name = path.rpartition("/")[2]
        self.sent[name] += 1
        await asyncio.sleep(0)
        self.before(name)
        if name not in self.gated:
            raise ApiError(404, "NotFound", name)
        if not self.gated[name]:
            raise ApiError(422, "Invalid", "the test failed")
        self.gated[name] = False
        self.after(name)
        return msgspec.json.encode({"metadata": {"name": name}})

    async def get(self, path: str, **_: Any) -> bytes:
        name = path.rpartition("/")[2]
        if name not in self.gated:
            raise ApiError(404, "NotFound", name)
        gates = [{"name": "execution.dev/max-parallelism"}] if self.gated[name] else []
        metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid of {name}"}
        labels = {"execution.dev/max-parallelism": "gated"}
        return msgspec.json.encode({"metadata": metadata | {"labels": labels}, "spec": {"schedulingGates": gates}})

    @property
    def running(self) -> int:
        return sum(not gated for gated in self.gated.values())


class Releasing:
    """A group of bare pods with a cap, and who releases them."""

    def __init__(self, number: int, cap: int) -> None:
        names = [f"p{place}" for place in range(number)]
        self.pods = Pods(names)
        kube: Any = self.pods
        self.metrics = Metrics()
        self.releaser = Releaser(kube, Writer(kube, lambda: True, SECONDS), self.metrics, SECONDS)
        self.cluster = Cluster()
        listener: Any = self.cluster.board.limits._listener
        listener.changed = self.changed
        for name in names:
            self.cluster.pod(name, pod(name, group="g", cap=cap))

    def changed(self, group: Group) -> None:
        if group.slots.releasable:
            self.releaser.add(group.key)

    @property
    def key(self) -> GroupKey:
        return GroupKey("pod", NAMESPACE, "g")

    @property
    def slots(self) -> Slots:
        return self.cluster.board.groups[self.key].slots

    def limit(self, cap: int) -> None:
        """What an edit of the options does."""
        self.slots.cap = cap
        if self.slots.releasable:
            self.releaser.add(self.key)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.releaser.run(self.cluster.board))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def results(self) -> dict[str, int]:
        samples = (sample for metric in self.metrics.registry.collect() for sample in metric.samples)
        name = "execution_options_parallelism_releases_total"
        return {one.labels["result"]: int(one.value) for one in samples if one.name == name and one.value}


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not check():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("trouble", ANSWERS)
async def test_a_cap_that_is_lowered_while_releases_are_to_be_repeated_is_kept(trouble: str) -> None:
    releasing = Releasing(8, cap=8)

    def fail(_: str) -> None:
        raise ANSWERS[trouble]()

    releasing.pods.before = fail
    async with releasing.working():
        await until(lambda: len(releasing.pods.sent) == 8)
        releasing.limit(2)
        releasing.pods.before = lambda _: None
        await until(lambda: releasing.pods.running == 2)
        await until(lambda: (releasing.slots.used, releasing.slots.waiting) == (2, 6))
    assert releasing.pods.running == 2


async def test_what_was_released_without_an_answer_counts_after_the_cap_was_lowered() -> None:
    releasing = Releasing(8, cap=8)

    def lose(_: str) -> None:
        raise TimeoutError

    def lose_it_or_the_answer(name: str) -> None:
        if name >= "p4":
            raise TimeoutError

    releasing.pods.before, releasing.pods.after = lose_it_or_the_answer, lose
    async with releasing.working():
        await until(lambda: len(releasing.pods.sent) == 8)
        releasing.limit(2)
        releasing.pods.before = releasing.pods.after = lambda _: None
        # Four run, as is found by asking; the others wait in line again.
        await until(lambda: (releasing.slots.used, releasing.slots.waiting) == (4, 4))
    assert releasing.pods.running == 4
    assert max(releasing.pods.sent.values()) == 1, "none was sent again beside those that may run"
    assert releasing.results() == {"unanswered": 8, "deferred": 8, "released": 4, "settled": 4}


@pytest.mark.parametrize("trouble", ["a proxy's page", "a proxy's refusal", "no answer"])
async def test_only_the_api_server_says_that_a_pod_is_gone(trouble: str) -> None:
    releasing = Releasing(2, cap=1)

    def fail(_: str) -> None:
        raise ANSWERS[trouble]()

    releasing.pods.after = fail
    async with releasing.working():
        await until(lambda: releasing.results() == {"unanswered": 1, "released": 1})
    assert releasing.pods.running == 1
    assert (releasing.slots.used, releasing.slots.waiting) == (1, 1)


async def test_a_pod_that_is_gone_leaves_its_slot_to_the_next() -> None:
    releasing = Releasing(2, cap=1)
    del releasing.pods.gated["p0"]
    async with releasing.working():
        await until(lambda: releasing.pods.running == 1)
    assert releasing.results() == {"gone": 1, "released": 1}


async def test_a_pod_that_a_policy_refuses_does_not_hold_up_the_next() -> None:
    releasing = Releasing(2, cap=1)

    def refuse(name: str) -> None:
        if name == "p0":
            raise ApiError(403, "Forbidden", "a policy")

    releasing.pods.before = refuse
    async with releasing.working():
        await until(lambda: not releasing.pods.gated["p1"])
    assert releasing.pods.gated["p0"]


async def test_a_busy_api_server_is_not_asked_for_all_who_wait() -> None:
    releasing = Releasing(50, cap=2)

    def fail(_: str) -> None:
        raise BUSY

    releasing.pods.before = fail
    async with releasing.working():
        await until(lambda: releasing.pods.sent.total() >= 6)
    assert len(releasing.pods.sent) == 2


async def test_nothing_is_kept_of_pods_that_need_no_release_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releaser_module, "REMEMBERED", 10)
    releasing = Releasing(60, cap=60)

    def lose(name: str) -> None:
        releasing.cluster.pod(name, pod(name, group="g", cap=60, gates=()))
        raise TimeoutError

    releasing.pods.after = lose
    async with releasing.working():
        await until(lambda: releasing.results() == {"unanswered": 60})
    assert len(releasing.releaser._failed) <= 10
