"""Rows in every form, and ages as kubectl writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options.cli.records import age, show

RECORDS: list[dict[str, Any]] = [
    {"name": "job/a", "options": ["nightly", "cluster/cost"], "account": "", "attempts": 0},
    {"name": "job/longer", "options": [], "account": "trainer", "attempts": 2},
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def shown(capsys: pytest.CaptureFixture[str], output: str) -> str:
    show(RECORDS, ("name", "options", "attempts"), ("account",), output, "nothing")
    return capsys.readouterr().out


def test_a_table_has_a_dash_where_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "table").splitlines() == [
        "NAME         OPTIONS                ATTEMPTS",
        "job/a        nightly,cluster/cost   0",
        "job/longer   -                      2",
    ]
    assert shown(capsys, "wide").splitlines()[-1].split() == ["job/longer", "-", "2", "trainer"]


def test_programs_get_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown(capsys, "json")) == RECORDS
    assert yaml.safe_load(shown(capsys, "yaml")) == RECORDS
    assert shown(capsys, "name").split() == ["job/a", "job/longer"]


def test_nothing_is_said_where_it_disturbs_no_program(capsys: pytest.CaptureFixture[str]) -> None:
    show([], ("name",), (), "table", "no execution here")
    assert capsys.readouterr() == ("", "no execution here\n")
    show([], ("name",), (), "json", "no execution here")
    assert capsys.readouterr() == ("[]\n", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172800, "2d"), (-5, "0s")],
)
def test_an_age_is_written_as_kubectl_does(seconds: int, text: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"), NOW) == text


@given(st.integers(0, 10**9))
def test_no_age_is_longer_than_it_has_to_be(seconds: int) -> None:
    text = age((NOW - timedelta(seconds=seconds)).isoformat(), NOW)
    assert int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]] <= seconds


def test_what_has_no_time_has_no_age() -> None:
    assert age(None) == age("") == ""
