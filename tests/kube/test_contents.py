"""Events and lists in any order leave the objects of the API server, and callbacks report exactly the differences."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.meta import PartialObject
from execution_options.kube.contents import Contents, is_old

if TYPE_CHECKING:
    from execution_options.kube.listing import Unreadable


class Thing(PartialObject, frozen=True):
    """An object whose spec is text."""

    spec: str = ""


class Watched:
    """Contents, and what their callbacks have reported."""

    def __init__(self) -> None:
        self.reported: dict[str, Thing] = {}
        self.deleted: list[str] = []
        self.unreadable: list[str] = []
        self.contents = Contents(
            "/things",
            Thing,
            keep=lambda thing: thing.spec != "ignored",
            prepare=None,
            on_change=self._changed,
            on_unreadable=self._unreadable,
            on_deleted=lambda thing: self.deleted.append(thing.metadata.name),
        )

    def _changed(self, old: Thing | None, new: Thing | None) -> None:
        some = old or new
        assert some is not None
        known = self.reported.pop(some.metadata.name, None)
        # The deletion of an object that was never seen is reported, too: it may have ended in between.
        assert known == old or (known is None and new is None)
        if new is not None:
            self.reported[new.metadata.name] = new

    def _unreadable(self, one: Unreadable) -> None:
        self.unreadable.append(one.metadata.name)

    def event(self, version: int, name: str, spec: Any, *, deleted: bool = False) -> None:
        metadata = {"namespace": "team", "name": name, "uid": name, "resourceVersion": str(version)}
        self.contents._apply(msgspec.Raw(json.dumps({"metadata": metadata, "spec": spec}).encode()), deleted=deleted)

    @property
    def held(self) -> dict[str, Thing]:
        return {name: item for (_, name), item in self.contents.items.items()}


EVENTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "ignored", ["unreadable"], None])), max_size=12
)
"""Names and specs; ``None``: the object is deleted."""


@given(EVENTS)
def test_events_leave_the_last_state_that_can_be_read_and_is_kept(events: list[tuple[str, Any]]) -> None:
    watched = Watched()
    expected: dict[str, str] = {}
    for version, (name, spec) in enumerate(events, 1):
        watched.event(version, name, spec or "", deleted=spec is None)
        if spec in ("x", "y"):
            expected[name] = spec
        elif spec in ("ignored", None):
            expected.pop(name, None)
        assert {name: thing.spec for name, thing in watched.held.items()} == expected
        assert (("team", name) in watched.contents.unreadable) == (spec == ["unreadable"])
        assert watched.held == watched.reported


@given(EVENTS, st.data())
def test_repeated_events_change_nothing(events: list[tuple[str, Any]], data: st.DataObject) -> None:
    once, again = Watched(), Watched()
    for version, (name, spec) in enumerate(events, 1):
        for watched in (once, again):
            watched.event(version, name, spec or "", deleted=spec is None)
        old = data.draw(st.integers(1, version))
        again.event(old, events[old - 1][0], "repeated")
    assert (once.held, once.deleted, once.unreadable) == (again.held, again.deleted, again.unreadable)


def test_a_deletion_is_reported_but_not_an_object_that_a_list_lacks() -> None:
    watched = Watched()
    watched.event(1, "a", "x")
    watched.event(2, "b", "x")
    watched.event(3, "a", "x", deleted=True)
    watched.contents._replace({})
    assert watched.deleted == ["a"]
    assert watched.reported == {}
    assert watched.contents.synced.is_set()


def test_a_new_object_of_the_same_name_is_reported_as_one_gone_and_one_added() -> None:
    watched = Watched()
    watched.event(1, "a", "x")
    reports: list[tuple[bool, bool]] = []
    watched.contents._on_change = lambda old, new: reports.append((old is None, new is None))
    fresh = msgspec.convert({"metadata": {"name": "a", "namespace": "team", "uid": "other"}}, Thing)
    watched.contents._replace({("team", "a"): fresh})
    assert reports == [(False, True), (True, False)]


@pytest.mark.parametrize(
    ("version", "last", "expected"), [("4", "5", True), ("5", "5", True), ("10", "9", False), ("1", "", False)]
)
def test_an_event_is_old_up_to_the_known_version(version: str, last: str, expected: bool) -> None:
    assert is_old(version, last) == expected
