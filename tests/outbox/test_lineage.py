"""An old failure never opens an incident again after a newer success, nor does an old success close a newer one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from execution_options.outbox.lineage import Report, has_to_resolve, is_open, superseded_by

if TYPE_CHECKING:
    from execution_options.outbox.state import State

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def failure(at: int, state: State = "Delivered") -> Report:
    return Report(f"failure-{at}", False, NOW + timedelta(seconds=at), state)


def success(at: int, state: State = "Delivered") -> Report:
    return Report(f"success-{at}", True, NOW + timedelta(seconds=at), state)


def test_a_failure_is_superseded_by_any_later_success() -> None:
    late = failure(1, "Pending")
    assert superseded_by(late, [success(2, "Pending")]) == "success-2"
    assert superseded_by(late, [success(2, "Suppressed")]) == "success-2"
    assert superseded_by(late, [success(0), failure(2)]) is None
    assert superseded_by(late, [success(1)]) is None  # of two that ended at once the failure counts


def test_a_success_is_superseded_by_a_later_failure_that_is_sent() -> None:
    late = success(1, "Pending")
    assert superseded_by(late, [failure(2)]) == "failure-2"
    assert superseded_by(late, [failure(2, "Suppressed"), failure(3, "Failed")]) is None
    assert superseded_by(late, [failure(1)]) == "failure-1"


def test_only_an_incident_that_may_be_open_is_resolved() -> None:
    assert not has_to_resolve(success(5), [])
    assert has_to_resolve(success(5), [failure(1)])
    assert has_to_resolve(success(5), [failure(1, "Pending")])
    assert has_to_resolve(success(5), [failure(1), success(2, "Failed")])
    assert not has_to_resolve(success(5), [failure(1), success(2)])
    assert not has_to_resolve(success(5), [failure(1, "Suppressed"), failure(6)])
    assert has_to_resolve(success(5), [failure(1), success(2), failure(3)])


def test_a_delivered_failure_is_open_until_a_later_success_is_delivered() -> None:
    assert is_open(failure(1), [])
    assert is_open(failure(1), [success(0), success(2, "Pending")])
    assert not is_open(failure(1), [success(2)])
    assert not is_open(failure(1, "Failed"), [])
    assert not is_open(success(1), [])


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.randoms())
def test_the_last_execution_decides_in_whatever_order_deliveries_are_sent(ends: list[bool], chance: st.DrawFn) -> None:
    reports = [success(at, "Pending") if well else failure(at, "Pending") for at, well in enumerate(ends)]
    incident = False
    waiting = list(reports)
    chance.shuffle(waiting)  # type: ignore[attr-defined]
    for one in waiting:
        others = [other for other in reports if other.name != one.name]
        sent = superseded_by(one, others) is None and (not one.resolves or has_to_resolve(one, others))
        if sent:
            incident = not one.resolves
        done = Report(one.name, one.resolves, one.ended, "Delivered" if sent else "Suppressed")
        reports = [done if other.name == one.name else other for other in reports]
    assert incident is not ends[-1]
