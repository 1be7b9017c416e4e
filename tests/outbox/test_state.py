"""The states of a delivery: it is never lost, and arrives twice only if nobody could have known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import Struct

from execution_options.outbox import schedule
from execution_options.outbox.state import (
    AT_ONCE,
    FINISHED,
    MAX_ANSWER,
    Claim,
    Status,
    answered,
    claimed,
    due,
    failed,
    recorded,
    redelivered,
    suppressed,
    to_send,
)
from execution_options.providers.answer import Answer, accepted, ambiguous, permanent, temporary

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECONDS = 30.0
OK = accepted("250 accepted")
BUSY = temporary("Busy", "451 try again")
NO = permanent("RecipientRefused", "550 no such user")
LOST = ambiguous("NoAnswer", "the connection broke")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def attempt(status: Status, at: datetime, *, keyed: bool = False, chance: float = 1.0, **answers: Answer) -> Status:
    """Record one attempt with these answers by recipient."""
    return attempt_with(answers, status, at, keyed=keyed, chance=chance)


def attempt_with(
    answers: dict[str, Answer], status: Status, at: datetime, *, keyed: bool = False, chance: float = 1.0
) -> Status:
    """Record one attempt."""
    sent = claimed(status, "one", at, SECONDS, keyed=keyed)
    assert sent.claim is not None
    done = answered(sent, sent.claim, answers, at, chance, keyed=keyed)
    assert done is not None
    return done


def states(status: Status) -> dict[str, str]:
    return {one.name: one.state for one in status.recipients}


def test_everybody_accepts() -> None:
    done = attempt(recorded(["a", "b"]), NOW, a=OK, b=OK)
    assert (done.state, done.attempts, done.finished_at, done.claim) == ("Delivered", 1, NOW, None)
    assert done.recipients[0].answer == "250 accepted"
    assert not done.possible_duplicate


def test_a_bad_address_fails_at_once_and_the_others_do_not_get_it_twice() -> None:
    done = attempt(recorded(["a", "b", "c"]), NOW, a=OK, b=NO, c=BUSY)
    assert states(done) == {"a": "Delivered", "b": "Failed", "c": "Pending"}
    assert done.state == "Pending"
    assert to_send(claimed(done, "one", after(60), SECONDS, keyed=False)) == ("c",)
    done = attempt(done, after(60), c=OK)
    assert states(done) == {"a": "Delivered", "b": "Failed", "c": "Delivered"}
    assert (done.state, done.reason, done.message) == (
        "Failed",
        "RecipientRefused",
        "1 of 3 recipients: 550 no such user",
    )


def test_pauses_grow_with_jitter_and_a_provider_may_ask_for_more() -> None:
    pauses = [schedule.pause(attempts, 1.0, 0.0) for attempts in range(1, 13)]
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert pauses[-1] == schedule.LONGEST_PAUSE
    assert schedule.pause(3, 0.0, 0.0) == 4.0
    assert schedule.pause(1, 0.0, 30.0) == 30.0
    assert schedule.pause(10_000, 1.0, 0.0) == schedule.LONGEST_PAUSE
    status = attempt(recorded(["a"]), NOW, a=temporary("RateLimited", "429", retry_after=120.0), chance=0.0)
    assert due(status) == after(120)
    absurd = attempt(recorded(["a"]), NOW, a=temporary("RateLimited", "429", retry_after=1e9), chance=0.0)
    assert due(absurd) == after(schedule.LONGEST_RETRY_AFTER)


def test_it_is_given_up_after_a_day_with_one_last_attempt() -> None:
    status, at, attempts = recorded(["a"]), NOW, 0
    while not status.finished:
        status = attempt(status, at, a=BUSY)
        attempts += 1
        at = status.next_attempt or at
    assert (status.state, status.reason) == ("Failed", "Busy")
    assert status.message == f"given up after {attempts} attempts: 451 try again"
    assert status.finished_at == after(schedule.GIVE_UP)
    assert 90 < attempts < 130


def test_a_delivery_that_waited_over_a_day_for_a_controller_is_still_tried() -> None:
    late = after(3 * schedule.GIVE_UP)
    assert attempt(recorded(["a"]), late, a=BUSY).state == "Pending"
    retried = attempt(recorded(["a"]), NOW, a=BUSY)
    assert attempt(retried, late, a=OK).state == "Delivered"
    assert attempt(retried, late, a=BUSY).state == "Failed"


@pytest.mark.parametrize("keyed", [True, False])
def test_a_claim_that_ran_out_is_marked_unless_the_provider_has_a_key(keyed: bool) -> None:
    lost = claimed(recorded(["a"]), "dead", NOW, SECONDS, keyed=keyed)
    assert due(lost) == after(SECONDS)
    again = claimed(lost, "heir", after(SECONDS), SECONDS, keyed=keyed)
    assert again.possible_duplicate is not keyed
    assert again.recipients[0].possible_duplicate is not keyed
    assert again.attempts == 2


@pytest.mark.parametrize("keyed", [True, False])
def test_an_ambiguous_attempt_is_repeated_and_marked(keyed: bool) -> None:
    status = attempt(recorded(["a"]), NOW, keyed=keyed, a=LOST)
    assert (status.state, status.possible_duplicate) == ("Pending", not keyed)


def test_a_recipient_that_was_not_tried_is_no_possible_duplicate() -> None:
    status = attempt(recorded(["a", "b"]), NOW, a=OK)
    assert states(status) == {"a": "Delivered", "b": "Pending"}
    assert not status.possible_duplicate


def test_many_recipients_are_tried_a_few_at_a_time() -> None:
    names = [f"r{number:02}" for number in range(AT_ONCE + 3)]
    first = claimed(recorded(names), "one", NOW, SECONDS, keyed=False)
    assert to_send(first) == tuple(names[:AT_ONCE])
    done = attempt_with(dict.fromkeys(names[:AT_ONCE], OK), recorded(names), NOW)
    assert (done.state, done.reason, due(done)) == ("Pending", "InProgress", NOW)
    # A problem of one delays the rest, since it may be the channel's.
    held = attempt_with(dict.fromkeys(names[:AT_ONCE], BUSY), recorded(names), NOW)
    assert due(held) == after(2)
    assert to_send(claimed(held, "one", after(2), SECONDS, keyed=False))[-3:] == tuple(names[-3:])
    done = attempt_with(dict.fromkeys(names[AT_ONCE:], OK), done, NOW)
    assert done.state == "Delivered"


def test_an_answer_for_an_old_claim_changes_nothing() -> None:
    first = claimed(recorded(["a"]), "dead", NOW, SECONDS, keyed=False)
    second = claimed(first, "heir", after(SECONDS), SECONDS, keyed=False)
    assert first.claim is not None
    assert answered(second, first.claim, {"a": OK}, NOW, 0.5, keyed=False) is None
    assert answered(recorded(["a"]), Claim("one", 1, NOW), {"a": OK}, NOW, 0.5, keyed=False) is None


def test_a_suppressed_or_unsendable_delivery_has_a_reason() -> None:
    silent = suppressed(recorded(["a"]), "Disabled", "disableNotifications by x", NOW)
    assert (silent.state, states(silent), silent.finished_at) == ("Suppressed", {"a": "Suppressed"}, NOW)
    broken = failed(recorded(["a"]), "Unroutable", "x" * 9999, NOW)
    assert (broken.state, states(broken), len(broken.message)) == ("Failed", {"a": "Failed"}, MAX_ANSWER)


def test_redelivery_is_for_recipients_without_the_message_or_for_all() -> None:
    done = attempt(recorded(["a", "b"]), NOW, a=OK, b=NO)
    again = redelivered(done, "x1")
    assert states(again) == {"a": "Delivered", "b": "Pending"}
    assert (again.state, again.redelivery, again.finished_at) == ("Pending", "x1", None)
    assert states(redelivered(attempt(again, after(9), b=OK), "x2")) == {"a": "Pending", "b": "Pending"}
    old = redelivered(attempt(recorded(["a"]), NOW, a=NO), "x3")
    assert attempt(old, after(9 * schedule.GIVE_UP), a=BUSY).state == "Pending"  # it gets a day of its own


class Actor(Struct):
    """A controller at work on one delivery: what it read, what it claimed, and the answers that it got."""

    read: tuple[int, Status] | None = None
    claim: Claim | None = None
    answers: dict[str, Answer] = {}


ACTORS = st.sampled_from(["one", "two"])
RECIPIENTS = ("a", "b")


class TwoControllers(RuleBasedStateMachine):
    """Two controllers that both believe to be the active one, an API server with versions, and a provider.

    A controller reads, claims, sends to one recipient after the other, records; it can die, be slow, or
    act on an old read at any point. It only never sends after its claim has expired.
    """

    @initialize(keyed=st.booleans())
    def begin(self, keyed: bool) -> None:
        self.keyed = keyed
        self.now = NOW
        self.version = 0
        self.stored = recorded(RECIPIENTS)
        self.arrived = dict.fromkeys(RECIPIENTS, 0)
        self.actors = {"one": Actor(), "two": Actor()}
        self.unlucky = False
        """Whether a controller died under a claim, or an answer was lost."""

    def write(self, version: int, status: Status) -> bool:
        if version != self.version:
            return False
        self.version += 1
        self.stored = status
        return True

    @rule(who=ACTORS)
    def reads(self, who: str) -> None:
        if self.actors[who].claim is None:
            self.actors[who].read = (self.version, self.stored)

    @rule(who=ACTORS)
    def claims(self, who: str) -> None:
        actor = self.actors[who]
        if actor.read is None or actor.claim is not None:
            return
        version, status = actor.read
        at = due(status)
        if status.finished or (at is not None and at > self.now):
            return
        mine = claimed(status, who, self.now, SECONDS, keyed=self.keyed)
        if self.write(version, mine):
            actor.claim, actor.answers = mine.claim, {}
        actor.read = None

    @rule(who=ACTORS, answer=st.sampled_from([OK, OK, BUSY, LOST]), arrives=st.booleans())
    def sends(self, who: str, answer: Answer, arrives: bool) -> None:
        actor = self.actors[who]
        if actor.claim is None or self.now >= actor.claim.deadline or self.stored.claim != actor.claim:
            return
        left = [name for name in to_send(self.stored) if name not in actor.answers]
        if not left:
            return
        actor.answers[left[0]] = answer
        if answer == LOST:
            self.unlucky = True
        self.arrived[left[0]] += answer == OK or (answer == LOST and arrives)

    @rule(who=ACTORS, chance=st.floats(0, 1))
    def records(self, who: str, chance: float) -> None:
        actor = self.actors[who]
        if actor.claim is None:
            return
        status = answered(self.stored, actor.claim, actor.answers, self.now, chance, keyed=self.keyed)
        if status is not None:
            assert self.write(self.version, status)
        self.actors[who] = Actor()

    @rule(who=ACTORS)
    def dies(self, who: str) -> None:
        self.unlucky = self.unlucky or self.actors[who].claim is not None
        self.actors[who] = Actor()

    @rule(seconds=st.sampled_from([1, 10, 31, 1000]))
    def time_passes(self, seconds: int) -> None:
        self.pass_until(self.now + timedelta(seconds=seconds))

    def pass_until(self, then: datetime) -> None:
        self.now = max(self.now, then)
        # A claim that expired before it was answered has the effect of a death.
        self.unlucky = self.unlucky or any(
            actor.claim is not None and self.now >= actor.claim.deadline for actor in self.actors.values()
        )

    @invariant()
    def twice_only_if_nobody_could_have_known(self) -> None:
        for one in self.stored.recipients:
            if self.arrived[one.name] > 1:
                assert self.unlucky
                assert self.keyed or one.possible_duplicate

    @invariant()
    def delivered_messages_have_arrived(self) -> None:
        for one in self.stored.recipients:
            assert one.state != "Delivered" or self.arrived[one.name]

    @invariant()
    def marked_only_if_a_duplicate_is_possible(self) -> None:
        assert self.unlucky or not self.stored.possible_duplicate
        assert not (self.keyed and self.stored.possible_duplicate)

    def teardown(self) -> None:
        """Whatever happened before: a working controller finishes it, and nobody is forgotten."""
        if not hasattr(self, "stored"):
            return
        while not self.stored.finished:
            self.pass_until(due(self.stored) or self.now)
            mine = claimed(self.stored, "last", self.now, SECONDS, keyed=self.keyed)
            assert mine.claim is not None
            for name in to_send(mine):
                self.arrived[name] += 1
            answers = dict.fromkeys(to_send(mine), OK)
            done = answered(mine, mine.claim, answers, self.now, 0.5, keyed=self.keyed)
            assert done is not None
            assert self.write(self.version, done)
        assert {one.state for one in self.stored.recipients} <= FINISHED
        for one in self.stored.recipients:
            assert self.arrived[one.name] > 0 or one.state == "Failed"
        self.twice_only_if_nobody_could_have_known()


TestTwoControllers = TwoControllers.TestCase
