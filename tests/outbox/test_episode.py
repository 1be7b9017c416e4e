"""Which ends of executions are news, and which are already noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.phases import Outcome
from execution_options.outbox.episode import is_marked, is_news, mark

if TYPE_CHECKING:
    from execution_options.api.engine_status import EnginePhase

END = Outcome("FAILED", "", "2026-11-23T12:00:00Z")


def test_a_given_up_end_is_noted_as_such_and_not_recorded_again() -> None:
    for outcome in (Outcome("FAILED", "", "2026-01-01T00:00:00Z"), Outcome("FAILED")):
        note = mark(outcome, recorded=False)
        assert note.endswith(" unrecorded")
        assert is_marked(note, outcome)
        assert not is_marked(note, Outcome("SUCCEEDED", "", "2026-01-02T00:00:00Z"))


def test_a_noted_end_is_known_and_the_next_one_of_a_retried_execution_is_not() -> None:
    note = mark(END)
    assert note == "FAILED 2026-11-23T12:00:00Z"
    assert is_marked(note, END)
    assert not is_marked(note, Outcome("FAILED", "", "2026-11-23T13:00:00Z"))
    assert not is_marked(None, END)


def test_an_engine_that_corrects_the_phase_or_adds_the_time_makes_no_second_end() -> None:
    assert is_marked(mark(END), Outcome("ABORTED", "", END.finished_at))
    assert is_marked(mark(Outcome("FAILED")), END)
    assert not is_marked(mark(Outcome("FAILED")), Outcome("SUCCEEDED", "", END.finished_at))


TIMES = st.sampled_from(["", "2026-11-23T12:00:00Z", "2026-11-23T12:00:30Z", "2026-11-23T13:00:00Z"])
PHASES = st.sampled_from(["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])


@given(PHASES, TIMES, TIMES, st.booleans())
def test_an_end_whose_time_vanishes_or_comes_later_is_still_the_same(
    phase: EnginePhase, noted: str, seen: str, recorded: bool
) -> None:
    note = mark(Outcome(phase, "", noted), recorded=recorded)
    assert is_marked(note, Outcome(phase, "", seen)) is (noted == seen or "" in (noted, seen))


@given(PHASES, PHASES, TIMES, TIMES.filter(bool))
def test_nothing_comes_after_an_end_at_or_after_the_deletion(
    noted: EnginePhase, seen: EnginePhase, at: str, deleted: str
) -> None:
    note = mark(Outcome(noted, "", "2026-11-23T13:00:00Z"))
    assert is_marked(note, Outcome(seen, "", at), deleted)
    assert is_marked(mark(Outcome(noted, "", deleted)), Outcome("ABORTED", "", deleted, deleted=True), deleted)


@pytest.mark.parametrize(
    ("since", "news"),
    [
        ("2026-11-23T11:00:00Z", True),
        ("2026-11-23T12:01:00Z", True),  # the engine's clock may be behind
        ("2026-11-23T12:01:01Z", False),
        ("2027-01-01T00:00:00+02:00", False),
        (None, True),
        ("", True),
        ("garbage", True),
    ],
)
def test_an_earlier_end_is_no_news(since: str | None, news: bool) -> None:
    assert is_news(END, since, "2020-01-01T00:00:00Z") is news


def test_an_end_without_a_time_is_news() -> None:
    assert is_news(Outcome("FAILED"), "2027-01-01T00:00:00Z")
    assert is_news(Outcome("FAILED", "", "2026-11-23T12:00:00"), "2027-01-01T00:00:00Z")
