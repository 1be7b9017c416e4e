"""Edits that reach running objects: in whatever order they come, the result equals that of a new creation."""

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
    reconciled,
    resolved,
)
from execution_options.options.snapshot import Snapshot, frozen
from support.strategies import specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    Desired = dict[str, Sourced[str]]

KEYS = st.sampled_from(("a", "b", "c"))
VALUES = st.sampled_from(("1", "2"))
BELOW, ABOVE = Level.NAMESPACE_DEFAULT, Level.NAMESPACE_ENFORCE
desired_values = st.builds(
    lambda value, level: Sourced(value, Source(level, OPTIONS_KIND, "o")), VALUES, st.sampled_from((BELOW, ABOVE))
)
desired_maps = st.dictionaries(KEYS, desired_values)
edits = st.tuples(st.just("edit"), desired_maps)
others = st.tuples(st.just("other"), st.tuples(KEYS, st.none() | st.just("theirs")))


def fresh(authors: Mapping[str, str], desired: Mapping[str, Sourced[str]]) -> dict[str, str]:
    """The map that a new creation would give."""
    return dict(authors) | {k: v.value for k, v in desired.items() if k not in authors or v.source.level > Level.AUTHOR}


class World:
    """One map of an object, and a model of whose value wins for each key."""

    def __init__(self, authors: dict[str, str], desired: dict[str, Sourced[str]]) -> None:
        self.authors = dict(authors)
        self.authored = {key: value for key, value in authors.items() if key in desired}
        self.base = resolved(desired, self.authored)
        self.desired = desired
        self.present = fresh(authors, desired)
        self.written = Written()
        self.foreign: dict[str, str | None] = {}

    def reconcile(self) -> None:
        before = dict(self.present)
        result = reconciled(self.present, self.desired, self.authored, self.base, self.written)
        for key, value in result.changes.items():
            assert self.present.get(key) != value
            if value is None:
                del self.present[key]
            else:
                self.present[key] = value
        self.written = result.written
        again = reconciled(self.present, self.desired, self.authored, self.base, self.written)
        assert not again.changes
        assert again.written == self.written
        assert {one.key for one in again.left} == {one.key for one in result.left}
        for one in result.left:
            assert before.get(one.key) == one.value == self.present.get(one.key)

    def other(self, key: str, value: str | None) -> None:
        """Somebody else writes a value between two reconciliations."""
        if self.present.get(key) == value:
            return
        if key in self.base or key in self.written.values:
            self.foreign[key] = value
            if value == (self.written.values[key] if key in self.written.values else self.base[key]):
                # Somebody who restores the last written value has no claim on it: it looks untouched.
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
        ours = fresh(self.authors, self.desired)
        # Others lose their claim on a key when it has the value that options want, or an enforced one.
        enforced = {key for key, value in self.desired.items() if value.source.level == ABOVE}
        self.foreign = {
            key: value for key, value in self.foreign.items() if value != ours.get(key) and key not in enforced
        }
        wanted: dict[str, str | None] = {**ours, **self.foreign}
        assert self.present == {key: value for key, value in wanted.items() if value is not None}


@given(st.dictionaries(KEYS, st.just("mine")), desired_maps, st.lists(edits | others, max_size=8))
def test_the_result_is_that_of_a_new_creation_with_the_values_of_others(
    authors: dict[str, str], desired: Desired, events: list[tuple[str, Any]]
) -> None:
    world = World(authors, desired)
    world.reconcile()
    world.check()
    for kind, event in events:
        if kind == "edit":
            world.desired = event
        else:
            world.other(*event)
        world.reconcile()
        world.check()


@given(st.dictionaries(KEYS, st.just("mine")), desired_maps, st.lists(desired_maps, max_size=4))
def test_undoing_all_edits_leaves_no_trace(authors: dict[str, str], desired: Desired, edits_: list[Desired]) -> None:
    world = World(authors, desired)
    before = dict(world.present)
    for one in [*edits_, desired]:
        world.desired = one
        world.reconcile()
    assert world.present == before
    assert world.written == Written()


def test_a_value_that_somebody_changed_is_left_and_named() -> None:
    desired = {"a": Sourced("2", Source(BELOW, OPTIONS_KIND, "o"))}
    result = reconciled({"a": "theirs"}, desired, {}, {"a": "1"}, Written())
    assert not result.changes
    assert [(one.key, one.value, one.wanted) for one in result.left] == [("a", "theirs", "2")]
    unchanged = {"a": structs.replace(desired["a"], value="1")}
    assert not reconciled({"a": "theirs"}, unchanged, {}, {"a": "1"}, Written()).left


def test_an_enforced_value_is_restored() -> None:
    desired = {"a": Sourced("1", Source(ABOVE, OPTIONS_KIND, "o")), "b": Sourced("1", Source(ABOVE, OPTIONS_KIND, "o"))}
    result = reconciled({"a": "theirs"}, desired, {}, {"a": "1", "b": "1"}, Written())
    assert result.changes == {"a": "1", "b": "1"}
    assert not result.left
    assert result.written == Written()


def options(spec: ExecutionOptionsSpec, generation: int = 2, uid: str = "u") -> OptionsObject:
    return OptionsObject(kind=OPTIONS_KIND, name="o", namespace="ns", uid=uid, generation=generation, spec=spec)


def snapshot_of(spec: ExecutionOptionsSpec) -> Snapshot:
    return Snapshot(id="i", layers=(frozen(Layer(Source(BELOW, OPTIONS_KIND, "o", "u", 1), spec)),))


@given(specs, specs)
def test_an_edit_changes_only_live_fields_and_survives_its_annotation(
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
def test_edits_that_are_not_followed_change_nothing(before: ExecutionOptionsSpec, after: ExecutionOptionsSpec) -> None:
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
