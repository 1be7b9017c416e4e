"""An incident is closed by a success that started after its failures, and by no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from execution_options.outbox.lineage import Report, has_to_resolve, has_to_wait, is_open, is_over, superseded_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from execution_options.outbox.state import State

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def moment(at: int) -> datetime:
    return NOW + timedelta(seconds=at)


def failure(at: int, state: State = "Delivered", since: int | None = None) -> Report:
    """A failure at ``at``, of an execution that started at ``since`` or, by default, a second before."""
    return Report(f"failure-{at}", False, moment(at - 1 if since is None else since), moment(at), state)


def success(at: int, state: State = "Delivered", since: int | None = None) -> Report:
    return Report(f"success-{at}", True, moment(at - 1 if since is None else since), moment(at), state)


def test_a_failure_is_superseded_by_any_later_success() -> None:
    late = failure(1, "Pending")
    assert superseded_by(late, [success(3, "Pending")]) == "success-3"
    assert superseded_by(late, [success(3, "Suppressed")]) == "success-3"
    assert superseded_by(late, [success(0), failure(2)]) is None


def test_a_success_is_superseded_by_a_failure_that_is_not_over_and_is_sent() -> None:
    late = success(1, "Pending")
    assert superseded_by(late, [failure(2)]) == "failure-2"
    assert superseded_by(late, [failure(2, "Suppressed"), failure(3, "Failed")]) is None
    assert superseded_by(late, [failure(2), success(5)]) is None, "it is over"


def test_a_sibling_that_ran_at_the_same_time_closes_nothing() -> None:
    """Three Jobs of a sweep start together: one fails, one succeeds before, one after it."""
    failed = failure(10, since=0)
    for sibling in (success(5, since=0), success(20, since=0), success(20, since=9)):
        assert superseded_by(failed, [sibling]) is None
        assert not has_to_resolve(sibling, [failed])
        assert is_open(failed, [sibling])
    assert superseded_by(success(20, since=0), [failed]) == "failure-10"
    again = success(30, since=11)
    assert has_to_resolve(again, [failed, success(20, "Suppressed", since=0)])
    assert not is_open(failed, [again])


def test_in_the_second_of_a_failure_a_new_run_can_start_but_siblings_started_before() -> None:
    assert is_over(failure(10, since=5), success(20, since=10))
    assert not is_over(failure(10, since=10), success(20, since=10))


def test_deliveries_of_earlier_releases_have_only_their_ends() -> None:
    old = structs.replace(success(5), started=None)
    assert is_over(failure(4), old)
    assert not is_over(failure(5), old), "of two that ended at once the failure counts"
    assert is_over(structs.replace(failure(4), started=None), success(9, since=4))


def test_only_an_incident_that_may_be_open_is_resolved() -> None:
    assert not has_to_resolve(success(5), [])
    assert has_to_resolve(success(5), [failure(1)])
    assert has_to_resolve(success(5), [failure(1, "Pending")])
    assert has_to_resolve(success(5), [failure(0), success(2, "Failed")])
    assert not has_to_resolve(success(5), [failure(0), success(2)])
    assert not has_to_resolve(success(5), [failure(1, "Suppressed"), failure(6)])
    assert has_to_resolve(success(5), [failure(0), success(2), failure(3)])


def test_a_delivered_failure_is_open_until_a_later_success_is_delivered() -> None:
    assert is_open(failure(1), [])
    assert is_open(failure(1), [success(0), success(3, "Pending")])
    assert not is_open(failure(1), [success(3)])
    assert not is_open(failure(1, "Failed"), [])
    assert not is_open(success(1), [])


def test_people_hear_of_a_failure_before_they_hear_that_it_is_over() -> None:
    assert has_to_wait(success(5), [failure(1, "Pending")])
    assert has_to_wait(success(5), [failure(1), failure(2, "Sending")])
    assert not has_to_wait(success(5), [failure(1), failure(2, "Failed"), failure(6, "Pending")])


Runs = list[tuple[int, int, bool]]
RUNS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=7)


def sent_in_order(reports: Sequence[Report], order: Sequence[int], known: Sequence[int]) -> bool:
    """Whether the incident is open after all deliveries were sent, each with those before ``known`` in the order."""
    incident = False
    now = list(reports)
    recorded: set[int] = set()
    for place, index in enumerate(order):
        recorded |= set(order[: max(place + 1, known[place])])
        mine = now[index]
        others = [now[other] for other in recorded if other != index]
        sent = superseded_by(mine, others) is None and (not mine.resolves or has_to_resolve(mine, others))
        if sent:
            incident = not mine.resolves
        now[index] = structs.replace(mine, state="Delivered" if sent else "Suppressed")
    return incident


def expected(reports: Sequence[Report]) -> bool:
    """Whether a failure is left that no success has shown to be over."""
    return any(
        not one.resolves and not any(other.resolves and is_over(one, other) for other in reports) for one in reports
    )


def reported(runs: Runs) -> list[Report]:
    return [
        Report(f"run-{number}", well, moment(start), moment(start + took), "Pending")
        for number, (start, took, well) in enumerate(runs)
    ]


@example([(0, 10, False), (0, 20, True)], None)
@example([(0, 1, False), (2, 10, False), (3, 2, True), (13, 1, True)], None)
@given(RUNS, st.randoms() | st.none())
def test_an_incident_is_open_if_and_only_if_a_failure_is_not_over(runs: Runs, chance: st.DrawFn | None) -> None:
    """In whatever order deliveries are sent that are all recorded."""
    reports, order = reported(runs), list(range(len(runs)))
    if chance is not None:
        chance.shuffle(order)  # type: ignore[attr-defined]
    assert sent_in_order(reports, order, [len(order)] * len(order)) is expected(reports)


@given(RUNS)
def test_the_same_holds_if_each_is_sent_when_it_ends(runs: Runs) -> None:
    """Later ends are not known yet."""
    reports = reported(runs)
    order = sorted(range(len(reports)), key=lambda index: reports[index].place)
    assert sent_in_order(reports, order, [0] * len(order)) is expected(reports)
