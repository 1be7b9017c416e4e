"""Edits that reach living objects: whatever the order of events, the end is what a fresh look would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import OPTIONS_KIND
from execution_options.api.resources import OptionsObject
from execution_options.options.levels import Layer, Level, Source, Sourced
from execution_options.options.live import (
    LIVE_FIELDS,
    Applied,
    InvalidLiveError,
    Live,
    LiveTooLargeError,
    Written,
    current_layers,
    decode_applied,
    decode_live,
    edited,
    encode_applied,
    encode_live,
    settle,
    stands,
)
from execution_options.options.snapshot import Snapshot, frozen
from support.strategies import specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    Said = dict[str, Sourced[str]]

KEYS = st.sampled_from(("a", "b", "c"))
VALUES = st.sampled_from(("1", "2"))
BELOW, ABOVE = Level.NAMESPACE_DEFAULT, Level.NAMESPACE_ENFORCE
said_values = st.builds(
    lambda value, level: Sourced(value, Source(level, OPTIONS_KIND, "o")), VALUES, st.sampled_from((BELOW, ABOVE))
)
said_maps = st.dictionaries(KEYS, said_values)
edits = st.tuples(st.just("edit"), said_maps)
others = st.tuples(st.just("other"), st.tuples(KEYS, st.none() | st.just("theirs")))


def fresh(authors: Mapping[str, str], said: Mapping[str, Sourced[str]]) -> dict[str, str]:
    """What creation would give."""
    return dict(authors) | {k: v.value for k, v in said.items() if k not in authors or v.source.level > Level.AUTHOR}


class World:
    """One map of an object, and a model of who has the last word on each key."""

    def __init__(self, authors: dict[str, str], said: dict[str, Sourced[str]]) -> None:
        self.authors = dict(authors)
        self.authored = {key: value for key, value in authors.items() if key in said}
        self.base = stands(said, self.authored)
        self.said = said
        self.present = fresh(authors, said)
        self.written = Written()
        self.foreign: dict[str, str | None] = {}

    def reconcile(self) -> None:
        before = dict(self.present)
        settled = settle(self.present, self.said, self.authored, self.base, self.written)
        for key, value in settled.changes.items():
            assert self.present.get(key) != value
            if value is None:
                del self.present[key]
            else:
                self.present[key] = value
        self.written = settled.written
        again = settle(self.present, self.said, self.authored, self.base, self.written)
        assert not again.changes
        assert again.written == self.written
        assert {one.key for one in again.left} == {one.key for one in settled.left}
        for one in settled.left:
            assert before.get(one.key) == one.value == self.present.get(one.key)

    def other(self, key: str, value: str | None) -> None:
        """Somebody else writes, between two reconciles."""
        if self.present.get(key) == value:
            return
        if key in self.base or key in self.written.values:
            self.foreign[key] = value
            if value == (self.written.values[key] if key in self.written.values else self.base[key]):
                # Who puts back what was last written has no claim on it: it looks as if it was never touched.
                del self.foreign[key]
        elif value is None:
            self.authors.pop(key, None)
        else:
            self.authors[key] = value
        if value is None:
            del self.present[key]
        else:
            self.present[key] = value

    def check(self) -> None:
        ours = fresh(self.authors, self.said)
        # Who left a key as options want it has no claim on it any more, and on one that is enforced nobody has.
        enforced = {key for key, value in self.said.items() if value.source.level == ABOVE}
        self.foreign = {
            key: value for key, value in self.foreign.items() if value != ours.get(key) and key not in enforced
        }
        wanted: dict[str, str | None] = {**ours, **self.foreign}
        assert self.present == {key: value for key, value in wanted.items() if value is not None}


@given(st.dictionaries(KEYS, st.just("mine")), said_maps, st.lists(edits | others, max_size=8))
def test_the_end_is_what_a_fresh_look_gives_and_what_others_left(
    authors: dict[str, str], said: Said, events: list[tuple[str, Any]]
) -> None:
    world = World(authors, said)
    world.reconcile()
    world.check()
    for kind, event in events:
        if kind == "edit":
            world.said = event
        else:
            world.other(*event)
        world.reconcile()
        world.check()


@given(st.dictionaries(KEYS, st.just("mine")), said_maps, st.lists(said_maps, max_size=4))
def test_going_back_to_the_beginning_leaves_no_trace(authors: dict[str, str], said: Said, edits_: list[Said]) -> None:
    world = World(authors, said)
    before = dict(world.present)
    for one in [*edits_, said]:
        world.said = one
        world.reconcile()
    assert world.present == before
    assert world.written == Written()


def test_what_somebody_changed_is_left_and_named() -> None:
    said = {"a": Sourced("2", Source(BELOW, OPTIONS_KIND, "o"))}
    settled = settle({"a": "theirs"}, said, {}, {"a": "1"}, Written())
    assert not settled.changes
    assert [(one.key, one.value, one.wanted) for one in settled.left] == [("a", "theirs", "2")]
    assert not settle({"a": "theirs"}, {"a": structs.replace(said["a"], value="1")}, {}, {"a": "1"}, Written()).left


def test_what_is_enforced_is_put_back() -> None:
    said = {"a": Sourced("1", Source(ABOVE, OPTIONS_KIND, "o")), "b": Sourced("1", Source(ABOVE, OPTIONS_KIND, "o"))}
    settled = settle({"a": "theirs"}, said, {}, {"a": "1", "b": "1"}, Written())
    assert settled.changes == {"a": "1", "b": "1"}
    assert not settled.left
    assert settled.written == Written()


def options(spec: ExecutionOptionsSpec, generation: int = 2, uid: str = "u") -> OptionsObject:
    return OptionsObject(kind=OPTIONS_KIND, name="o", namespace="ns", uid=uid, generation=generation, spec=spec)


def snapshot_of(spec: ExecutionOptionsSpec) -> Snapshot:
    return Snapshot(id="i", layers=(frozen(Layer(Source(BELOW, OPTIONS_KIND, "o", "u", 1), spec)),))


@given(specs, specs)
def test_an_edit_changes_what_can_change_and_survives_its_annotation(
    before: ExecutionOptionsSpec, after: ExecutionOptionsSpec
) -> None:
    snapshot = snapshot_of(before)
    live = edited(snapshot, Live(), lambda *_: options(after))
    text = encode_live(live)
    assert decode_live(text) == live
    (layer,) = current_layers(snapshot, live)
    for name in structs.asdict(before):
        if name in LIVE_FIELDS:
            wanted = before if after.update_policy == "NextExecution" else after
            assert getattr(layer.spec, name) == getattr(wanted, name)
        elif name not in ("selector", "mode", "priority"):
            assert getattr(layer.spec, name) == getattr(before, name)
    assert layer.source.level == BELOW


@given(specs, specs)
def test_what_does_not_follow_keeps_its_last_state(before: ExecutionOptionsSpec, after: ExecutionOptionsSpec) -> None:
    snapshot = snapshot_of(before)
    live = edited(snapshot, Live(), lambda *_: options(after, 3))
    for unrelated in (None, options(before, 9, uid="recreated"), options(before, 2 if live.layers else 1)):
        assert edited(snapshot, live, lambda *_, one=unrelated: one) == live
    assert edited(snapshot, live, lambda *_: options(after, 3)) == live
    unwilling = structs.replace(before, update_policy="NextExecution")
    assert edited(snapshot, live, lambda *_: options(unwilling, 9)) == live
    willing = structs.replace(before, update_policy="Live")
    assert edited(snapshot, live, lambda *_: options(willing, 9)) == Live()


def test_annotations_that_are_not_ours_are_refused() -> None:
    for decode in (decode_live, decode_applied):
        with pytest.raises(InvalidLiveError):
            decode("{")
    large = convert({"annotations": {f"k{i}": "v" * 1000 for i in range(20)}}, ExecutionOptionsSpec)
    with pytest.raises(LiveTooLargeError, match="at most 16384"):
        encode_live(edited(snapshot_of(ExecutionOptionsSpec()), Live(), lambda *_: options(large)))


@given(st.dictionaries(KEYS, st.none() | VALUES), st.dictionaries(KEYS, VALUES))
def test_the_record_survives_its_annotation(values: dict[str, str | None], replaced: dict[str, str]) -> None:
    record = Applied(labels=Written(values, replaced))
    assert decode_applied(encode_applied(record)) == record
