"""Finished deliveries are deleted after a while, but never one that is still needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from execution_options.outbox.retention import MOST, Finished, outdated

if TYPE_CHECKING:
    from execution_options.outbox.state import State

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def finished(name: str, state: State, hours: float, *, needed: bool = False, incident: bool = False) -> Finished:
    return Finished("team", name, state, NOW - timedelta(hours=hours), needed, incident)


def gone(*some: Finished) -> list[str]:
    return sorted(one.name for one in outdated(some, NOW))


def test_a_success_is_kept_a_day_and_a_failure_a_week() -> None:
    young = [finished("a", "Delivered", 23), finished("b", "Suppressed", 23), finished("c", "Failed", 167)]
    old = [finished("d", "Delivered", 24), finished("e", "Suppressed", 25), finished("f", "Failed", 168)]
    assert gone(*young, *old) == ["d", "e", "f"]


def test_a_needed_delivery_is_kept_however_old() -> None:
    assert gone(finished("a", "Delivered", 9999, needed=True)) == []


def test_the_delivery_of_an_open_incident_is_kept_a_month() -> None:
    assert gone(finished("a", "Delivered", 700, incident=True), finished("b", "Delivered", 721, incident=True)) == ["b"]


def test_the_oldest_of_too_many_are_deleted() -> None:
    many = [finished(f"{number:04}", "Delivered", number / 1000) for number in range(MOST + 2)]
    other = Finished("other", "x", "Delivered", NOW - timedelta(hours=20))
    assert gone(*many, other) == [f"{MOST:04}", f"{MOST + 1:04}"]
    kept = Finished("team", "old", "Delivered", NOW - timedelta(hours=23), incident=True)
    assert gone(*many, kept) == [f"{MOST - 1:04}", f"{MOST:04}", f"{MOST + 1:04}"]
