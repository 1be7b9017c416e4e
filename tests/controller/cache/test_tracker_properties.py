"""What is counted as executions come and go is what a look at all of them would count."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.keys import ExecutionKey
from execution_options.controller.cache import tracker as tracking
from execution_options.controller.cache.tracker import Account, Tracked, Tracker

SOURCES = ("a", "b", "c")
ACCOUNTS = st.sampled_from([
    None,
    *(Account(source, name, None, create=True) for source in SOURCES for name in ("x", "y")),
])  # fmt: skip
RECORDS = st.builds(
    Tracked,
    uid=st.just("u"),
    id=st.just("i"),
    active=st.booleans(),
    missed=st.booleans(),
    sources=st.frozensets(st.sampled_from(SOURCES)),
    account=ACCOUNTS,
)
KEYS = st.builds(ExecutionKey, st.just("job"), st.sampled_from(["ns", "other"]), st.sampled_from(["j", "k", "l"]))


@pytest.fixture(autouse=True)
def _records_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "tracked", lambda item: item)


@given(st.lists(st.tuples(KEYS, st.none() | RECORDS), max_size=30))
def test_uses_are_counted_exactly(changes: list[tuple[ExecutionKey, Tracked | None]]) -> None:
    tracker = Tracker()
    for key, record in changes:
        tracker.put(key, cast("Any", record))
    for source in SOURCES:
        having = list(tracker.of_source(source))
        uses = tracker.uses(source)
        assert +uses.executions == Counter(record.active for _, record in having)
        assert uses.missed == sum(record.missed for _, record in having)
        assert set(uses.accounts) == {
            (key.namespace, record.account)
            for key, record in having
            if record.active and record.account is not None and record.account.source == source
        }
    states = Counter(
        (key.engine, "active" if one.active else "finished") for key, one in tracker.records.items() if one.stamped
    )
    assert tracker.counts() == states
    assert set(tracker._uses) == {source for one in tracker.records.values() for source in one.sources}
