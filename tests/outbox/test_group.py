"""Each delivery of a group is in one message, whoever looks first and whenever others come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from execution_options.outbox import group as module
from execution_options.outbox import state
from execution_options.outbox.group import Group, Lead, Ride, Wait, ridden
from execution_options.outbox.record import GroupRef

NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
REF: Final = GroupRef("k", "sweep", 30, 300)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_first_waits_for_others_and_then_one_leads() -> None:
    group = Group()
    assert group.turn("a", at(0), REF, at(0)) == Wait(30)
    assert group.turn("b", at(10), REF, at(10)) == Wait(20)
    assert group.turn("b", at(10), REF, at(30)) == Lead(("b", "a"))
    assert isinstance(group.turn("a", at(0), REF, at(30)), Wait), "b is about to lead"
    group.claimed("b", ("b", "a"), at(30))
    assert group.turn("a", at(0), REF, at(31)) == Ride("b")


def test_whoever_comes_later_is_in_the_next_message_after_the_interval() -> None:
    group = Group()
    assert group.turn("a", at(0), REF, at(30)) == Lead(("a",))
    group.claimed("a", ("a",), at(30))
    assert group.turn("b", at(40), REF, at(40)) == Wait(290)
    assert group.turn("b", at(40), REF, at(330)) == Lead(("b",))


def test_riders_of_a_leader_that_is_gone_are_in_the_next_message() -> None:
    group = Group()
    group.turn("a", at(0), REF, at(0))
    assert group.turn("b", at(0), REF, at(30)) == Lead(("b", "a"))
    group.claimed("b", ("b", "a"), at(30))
    group.abandoned("b")
    assert group.turn("a", at(0), REF, at(330)) == Lead(("a",))
    group.left("a")
    assert group.is_idle


def test_a_leader_that_is_gone_before_its_claim_leaves_the_lead_to_another() -> None:
    group = Group()
    group.turn("a", at(0), REF, at(0))
    group.turn("b", at(0), REF, at(30))
    group.left("b")
    assert group.turn("a", at(0), REF, at(31)) == Lead(("a",))


@pytest.mark.parametrize("delivered", [True, False])
def test_a_rider_gets_the_result_of_its_leader(*, delivered: bool) -> None:
    result: state.State = "Delivered" if delivered else "Failed"
    recipient = state.Recipient("a@b.c", result, possible_duplicate=True, thread="C1/1")
    led = state.Status(result, "Accepted" if delivered else "Gone", recipients=(recipient,), finished_at=NOW)
    done = ridden(state.recorded(["a@b.c"]), "leader", led)
    assert (done.state, done.finished_at, done.members) == (result, NOW, ())
    assert done.recipients == (recipient,)
    assert done.reason == ("Grouped" if delivered else "Gone")


class Life(RuleBasedStateMachine):
    """A group through crashes: what is stored is the members of claims and the results of leaders."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0.0
        self.number = 0
        self.open: dict[str, datetime] = {}
        self.messages: dict[str, tuple[str, ...]] = {}
        self.sent: dict[str, datetime] = {}
        self.done: set[str] = set()
        self.group = Group()
        self.chosen: tuple[str, ...] = ()

    @rule()
    def recorded(self) -> None:
        self.number += 1
        self.open[f"d{self.number}"] = at(self.clock)

    @rule(seconds=st.sampled_from([1, 20, 31, 301]))
    def passes(self, seconds: int) -> None:
        self.clock += seconds

    @precondition(lambda self: bool(set(self.open) - set(self.messages)))
    @rule(data=st.data())
    def looks(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(set(self.open) - set(self.messages))))
        turn = self.group.turn(name, self.open[name], REF, at(self.clock))
        if isinstance(turn, Ride):
            assert name in self.messages[turn.leader]
            if turn.leader in self.done:
                self.group.left(name)
                del self.open[name]
        if isinstance(turn, Lead):
            assert turn.members[0] == name
            self.chosen = turn.members

    @precondition(lambda self: bool(self.chosen))
    @rule(written=st.booleans())
    def claims(self, *, written: bool) -> None:
        leader, members = self.chosen[0], self.chosen
        self.chosen = ()
        if written:
            self.messages[leader], self.sent[leader] = members, at(self.clock)
            self.group.claimed(leader, members, at(self.clock))

    @precondition(lambda self: bool(set(self.messages) - self.done))
    @rule(data=st.data())
    def finishes(self, data: st.DataObject) -> None:
        leader = data.draw(st.sampled_from(sorted(set(self.messages) - self.done)))
        self.done.add(leader)
        self.group.left(leader)
        del self.open[leader]

    @rule()
    def crashes(self) -> None:
        self.group, self.chosen = Group(), ()
        for leader, members in self.messages.items():
            riders = tuple(one for one in members if one in self.open)
            self.group.claimed(leader, (leader, *riders), self.sent[leader])

    @invariant()
    def each_is_in_one_message(self) -> None:
        listed = [one for members in self.messages.values() for one in members]
        assert len(listed) == len(set(listed))
        assert all(len(members) <= module.MOST for members in self.messages.values())

    @invariant()
    def messages_keep_their_distance(self) -> None:
        times = sorted(self.sent.values())
        assert all(later - earlier >= timedelta(seconds=300) for earlier, later in pairwise(times))

    def teardown(self) -> None:
        """Everything that is open gets into a message in the end."""
        for _ in range(2 * self.number + 2):
            self.clock += 301
            for name in sorted(set(self.open) - set(self.messages)):
                turn = self.group.turn(name, self.open[name], REF, at(self.clock))
                if isinstance(turn, Lead):
                    self.messages[name], self.sent[name] = turn.members, at(self.clock)
                    self.group.claimed(name, turn.members, at(self.clock))
        assert set(self.open) <= {one for members in self.messages.values() for one in members}


TestLife = Life.TestCase


@given(st.integers(1, 450))
def test_a_large_group_is_several_messages(number: int) -> None:
    group, clock = Group(), 30.0
    listed: list[str] = []
    for index in range(number):
        group.turn(f"d{index}", at(0), REF, at(0))
    while not group.is_idle and (left := [f"d{index}" for index in range(number) if f"d{index}" not in listed]):
        turn = group.turn(left[0], at(0), REF, at(clock))
        assert isinstance(turn, Lead)
        group.claimed(left[0], turn.members, at(clock))
        listed += turn.members
        clock += 300
    assert sorted(listed) == sorted(f"d{index}" for index in range(number))
