"""No destination is sent more than it takes, and each delivery waits for its turn once."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from msgspec import structs

from execution_options.api.meta import ObjectMeta
from execution_options.controller.outbox import turns as module
from execution_options.controller.outbox.delivery import Delivery
from execution_options.controller.outbox.turns import Turns
from execution_options.controller.runtime.ratelimit import TokenBucket
from execution_options.outbox import state
from execution_options.outbox.record import ChannelRef, Spec
from support.fakes import Clock


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "TokenBucket", partial(TokenBucket, clock=made))
    return made


def delivery(name: str, channel: str, *recipients: str, channel_name: str = "main", done: str = "") -> Delivery:
    kind: Any = channel
    spec = Spec(
        phase="FAILED",
        episode="2026-11-23T12:00:00Z",
        lineage="job/team/train",
        channel=ChannelRef("team", channel_name, kind),
        recipients=recipients,
    )
    recorded = state.recorded(recipients)
    sent = tuple(state.Recipient(one.name, "Delivered") if one.name == done else one for one in recorded.recipients)
    return Delivery(ObjectMeta(namespace="team", name=name), spec, structs.replace(recorded, recipients=sent))


def test_a_destination_takes_a_message_a_second() -> None:
    turns = Turns()
    assert turns.take(delivery("a", "slack", "x")) == 0.0
    assert turns.take(delivery("b", "slack", "x")) == 1.0
    assert turns.take(delivery("c", "slack", "x")) == 2.0


def test_destinations_of_others_and_of_other_channels_do_not_wait() -> None:
    turns = Turns()
    turns.take(delivery("a", "slack", "x"))
    assert turns.take(delivery("b", "slack", "y")) == 0.0
    assert turns.take(delivery("c", "slack", "x", channel_name="other")) == 0.0
    assert [turns.take(delivery(name, "email", "x")) for name in "defg"] == [0.0] * 4


def test_the_slowest_of_several_destinations_decides_but_for_those_that_have_it() -> None:
    turns = Turns()
    turns.take(delivery("a", "slack", "x"))
    assert turns.take(delivery("b", "slack", "x", "y")) == 1.0
    turns = Turns()
    turns.take(delivery("a", "slack", "x"))
    assert turns.take(delivery("b", "slack", "x", "y", done="x")) == 0.0


def test_a_turn_is_taken_once_until_it_is_over() -> None:
    turns, one = Turns(), delivery("a", "slack", "x")
    assert [turns.take(one) for _ in range(3)] == [0.0] * 3
    turns.over(one.key)
    assert turns.take(one) == 1.0


def test_destinations_that_rested_are_forgotten(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(module, "MAX_BUCKETS", 2)
    turns = Turns()
    for number in range(50):
        turns.take(delivery(f"d{number}", "slack", f"r{number}"))
        clock.now += 1
    assert len(turns._buckets) <= 3
    turns.take(delivery("a", "slack", "x"))
    assert turns.take(delivery("b", "slack", "x")) == 1.0
