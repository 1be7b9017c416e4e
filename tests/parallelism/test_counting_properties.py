"""Whenever a group of bare pods is said to be counted, every pod of it that runs with a limit has its slot."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from execution_options.api.names import GATE
from execution_options.controller.parallelism.groups import BARE
from execution_options.controller.parallelism.objects import GroupKey
from execution_options.controller.parallelism.reach import SETTLE_SECONDS
from execution_options.kube.client import ApiError
from support.podapi import TEAM, Counter, PodApi, bare

GROUPS = st.sampled_from("ghi")
CAPS = st.sampled_from([None, 1, 2])


class Counts(RuleBasedStateMachine):
    """Options are edited, pods are admitted by them and created within a minute, and a controller counts."""

    def __init__(self) -> None:
        super().__init__()
        self.api = PodApi()
        self.counter = Counter(self.api)
        self.cap: int | None = None
        self.generation = 1
        self.number = 0
        self.uids: list[str] = []
        """Of all pods that there ever were."""
        self.admitted: list[tuple[float, str, int | None, int]] = []
        """Admissions whose creation is still to come: when, of which group, by which options."""
        self.counter.options("o", None, 1)

    def teardown(self) -> None:
        self.check()

    def do(self, what: Any) -> None:
        asyncio.run(what)

    @rule(cap=CAPS)
    def edit(self, cap: int | None) -> None:
        self.cap, self.generation = cap, self.generation + 1
        self.counter.options("o", cap, self.generation)

    @rule(group=GROUPS)
    def admit(self, group: str) -> None:
        self.admitted.append((self.counter.now, group, self.cap, self.generation))

    @precondition(lambda self: self.admitted)
    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.admitted) - 1))
        self.created(*self.admitted.pop(place)[1:])

    def created(self, group: str, cap: int | None, generation: int) -> None:
        self.number += 1
        bare(self.api, f"p-{self.number}", group, cap, generation, "" if cap is None else "gated")
        self.uids.append(self.counter.uid(f"p-{self.number}"))

    @rule(seconds=st.sampled_from([1.0, 30.0, SETTLE_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.counter.now += seconds
        self.admitted = [one for one in self.admitted if self.counter.now - one[0] < SETTLE_SECONDS]

    @precondition(lambda self: self.cap is not None)
    @rule()
    def settle(self) -> None:
        """Nothing changes for a minute, and new groups come before and after it."""
        for _ in range(2):
            self.wait(SETTLE_SECONDS)
            self.created(f"g{self.number}", self.cap, self.generation)
            self.counter.watch()
            self.count([])

    @precondition(lambda self: self.api.pods)
    @rule(data=st.data(), how=st.sampled_from(["end", "delete", "refuse"]))
    def change(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.api.pods)))
        if how == "end":
            self.api.end(name)
        elif how == "delete":
            del self.api.pods[name]
        else:
            self.api.refused[name] = ApiError(403, "Forbidden", "no")

    @rule()
    def watch(self) -> None:
        self.counter.watch()

    @rule(group=GROUPS, edits=st.lists(st.tuples(CAPS, GROUPS), max_size=2))
    def come(self, group: str, edits: list[tuple[int | None, str]]) -> None:
        """A pod comes and is seen, and a count begins; more happens while that goes on."""
        self.created(group, self.cap, self.generation)
        self.counter.watch()
        self.count(edits)

    def count(self, edits: list[tuple[int | None, str]]) -> None:
        def meanwhile() -> None:
            self.api.during = lambda: None
            for cap, group in edits:
                self.edit(cap)
                self.created(group, self.cap, self.generation)
                self.counter.watch()

        self.api.during = meanwhile
        before = {key for key, group in self.counter.board.groups.items() if group.counted}
        self.do(self.counter.count())
        for key, group in self.counter.board.groups.items():
            if group.counted and key not in before and group.cap is not None:
                self.check_group(key)

    @rule()
    def label(self) -> None:
        for uid in self.uids:
            self.do(self.counter.labelling.label(uid))

    @rule()
    def begin_anew(self) -> None:
        """Another controller takes over."""
        now = self.counter.now
        self.counter = Counter(self.api, self.counter.index)
        self.counter.now = now
        self.counter.watch()

    def running(self, group: str) -> set[str]:
        """Pods of a group that run without having waited, and have a limit now."""
        return {
            pod["metadata"]["uid"]
            for pod in self.api.pods.values()
            if pod["metadata"]["annotations"]["execution.dev/group"] == group
            and pod["metadata"]["labels"].get(GATE) != "gated"
            and pod["status"]["phase"] == "Running"
        }

    def check_group(self, key: GroupKey) -> None:
        slots = self.counter.board.groups[key].slots
        assert all(slots.has_slot(uid) for uid in self.running(key.name)), key

    @invariant()
    def nobody_waits_for_a_count_that_nobody_is_asked_for(self) -> None:
        uncounted = self.counter.board.uncounted(TEAM)
        assert not uncounted or GroupKey(BARE, TEAM, "") in self.counter.to_count

    def check(self) -> None:
        """Once all is quiet, who runs has a slot, and what is gone has none."""
        self.counter.watch()
        self.label()
        self.count([])
        self.label()
        self.counter.watch()
        self.label()
        for key, group in self.counter.board.groups.items():
            there = {pod["metadata"]["uid"] for pod in self.api.pods.values()}
            assert {pod.uid for pod in group.slots.users()} <= there, key


TestCounts = Counts.TestCase
TestCounts.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
