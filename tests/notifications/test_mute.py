"""Muted channels wait until their times are over, and never for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from execution_options.api.mute import Mute
from execution_options.notifications.mute import DAYS, WEEK, is_urgent, muted_until, problems

NIGHTS = {"from": "22:00", "to": "07:00", "timeZone": "Europe/Berlin"}
WEEKEND = {"days": ["Saturday", "Sunday"], "timeZone": "Europe/Berlin"}


def entries(*mute: dict[str, Any]) -> tuple[Mute, ...]:
    return convert(mute, tuple[Mute, ...])


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-12-01 21:59", None),
        ("2026-12-01 22:00", "2026-12-02 07:00"),
        ("2026-12-02 06:59:59", "2026-12-02 07:00"),
        ("2026-12-02 07:00", None),
        # Friday night goes on with the weekend, and that with Sunday night.
        ("2026-12-04 23:00", "2026-12-07 07:00"),
        ("2026-12-05 12:00", "2026-12-07 07:00"),
        # Clocks are put forward in the first night and back in the second one.
        ("2026-03-28 23:00", "2026-03-30 07:00"),
        ("2026-10-24 23:00", "2026-10-26 07:00"),
    ],
)
def test_nights_and_weekends_are_one_time(now: str, until: str | None) -> None:
    assert muted_until(entries(NIGHTS, WEEKEND), at(now)) == (None if until is None else at(until))


def test_a_day_is_the_one_on_which_a_time_begins() -> None:
    friday = entries({"from": "20:00", "to": "02:00", "days": ["Friday"]})
    assert muted_until(friday, at("2026-12-05 01:00", "UTC")) == at("2026-12-05 02:00", "UTC")
    assert muted_until(friday, at("2026-12-04 01:00", "UTC")) is None


def test_what_would_never_be_sent_is_not_muted_and_is_said() -> None:
    always = entries({"days": list(DAYS[:4])}, {"days": list(DAYS[4:])})
    assert muted_until(always, at("2026-12-01 12:00")) is None
    assert list(problems(always)) == [("spec.mute", "it leaves no time to send anything")]
    assert list(problems(entries(NIGHTS, WEEKEND))) == []


@pytest.mark.parametrize("name", ["Europe/Nowhere", "Europe", "a" * 64])
def test_an_unknown_zone_mutes_nothing_and_is_said(name: str) -> None:
    unknown = entries({"timeZone": name})
    assert muted_until(unknown, at("2026-12-01 12:00")) is None
    ((path, what),) = problems(unknown)
    assert (path, what.startswith(name)) == ("spec.mute[0].timeZone", True)


TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
MUTES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "from": TIMES,
            "to": TIMES | st.just("24:00"),
            "days": st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
            "timeZone": st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Auckland"]),
        },
    ).filter(lambda one: one.get("from", "00:00") != one.get("to", "24:00")),
    max_size=4,
)


@given(MUTES, st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)))  # noqa: DTZ001
def test_a_channel_is_muted_without_a_gap_and_free_afterwards(mute: list[dict[str, Any]], moment: datetime) -> None:
    now, given_ = moment.replace(tzinfo=UTC), entries(*mute)
    until = muted_until(given_, now)
    if until is None:
        return
    assert now < until < now + WEEK
    assert muted_until(given_, until) is None
    between = [now + (until - now) * part / 5 for part in range(5)]
    assert {muted_until(given_, one) for one in (*between, until - timedelta(seconds=1))} == {until}


def test_an_incident_is_urgent() -> None:
    urgent = {phase for phase in ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT") if is_urgent("opsgenie", phase)}
    assert urgent == {"SUCCEEDED", "FAILED", "TIMED_OUT"}
    assert not is_urgent("email", "FAILED")
