"""Which cap applies now."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import INLINE_ANNOTATION
from execution_options.api.resources import OptionsObject
from execution_options.options.levels import ANNOTATION, Layer, Level, Source
from execution_options.options.live import Live, current_layers, edited, encode_live
from execution_options.options.merge import merge
from execution_options.options.snapshot import Snapshot, encode
from execution_options.parallelism.caps import Cap, effective, recorded

KIND = "ExecutionOptions"


def layer(name: str, cap: int | None, level: Level = Level.NAMESPACE_DEFAULT) -> Layer:
    spec = convert({} if cap is None else {"maxParallelism": cap}, ExecutionOptionsSpec)
    return Layer(Source(level, KIND, name, f"uid-{name}", 1), spec)


def now(name: str, cap: int | None, **changes: Any) -> OptionsObject:
    declared = {} if cap is None else {"maxParallelism": cap}
    spec = convert({**declared, **changes.pop("spec", {})}, ExecutionOptionsSpec)
    return OptionsObject(
        kind=KIND, name=name, namespace="team", **{"uid": f"uid-{name}", "generation": 2, **changes}, spec=spec
    )


def cap_of(layers: list[Layer], *options: OptionsObject, gone: str = "", live: Live = Live()) -> int | None:  # noqa: B008
    by_name = {one.name: one for one in options}
    declared = recorded(encode(Snapshot(id="i", layers=tuple(layers))), encode_live(live))
    found = effective(declared, lambda _, name: by_name.get(name), lambda one: one.name == gone)
    return None if found is None else found.value


def test_the_highest_level_decides_and_zero_is_no_limit() -> None:
    assert cap_of([layer("a", 3), layer("b", 5)]) == 5
    assert cap_of([layer("a", 3), layer("b", None)]) == 3
    assert cap_of([layer("a", 3), layer("b", 0)]) is None
    assert cap_of([layer("a", None)]) is None


def test_an_edit_applies_at_once_unless_it_is_for_the_next_execution() -> None:
    layers = [layer("a", 3)]
    assert cap_of(layers, now("a", 7)) == 7
    assert cap_of(layers, now("a", None)) is None
    assert cap_of(layers, now("a", 7, generation=1)) == 3
    assert cap_of(layers, now("a", 7, spec={"updatePolicy": "NextExecution"})) == 3
    assert cap_of(layers, now("a", 7, uid="another")) == 3


@pytest.mark.parametrize("frozen", [[None], [0], [3, 0], [0, None]])
def test_an_edit_gives_no_first_limit(frozen: list[int | None]) -> None:
    layers = [layer(str(number), cap) for number, cap in enumerate(frozen)]
    assert cap_of(layers, *(now(str(number), 2) for number in range(len(frozen)))) is None


def test_a_limit_that_was_lifted_can_be_set_again() -> None:
    lifted = edited(Snapshot(id="i", layers=(layer("a", 3),)), Live(), lambda *_: now("a", None))
    assert cap_of([layer("a", 3)], live=lifted) is None
    assert cap_of([layer("a", 3)], now("a", 4, generation=3), live=lifted) == 4


INLINE = Layer(
    Source(Level.EXECUTION, ANNOTATION, INLINE_ANNOTATION), convert({"maxParallelism": 2}, ExecutionOptionsSpec)
)


def test_inline_options_have_a_limit_that_no_edit_changes() -> None:
    assert cap_of([INLINE]) == 2
    assert cap_of([layer("a", 3), INLINE], now("a", 7)) == 2
    assert cap_of([INLINE, layer("a", 5, Level.CLUSTER_ENFORCE)], now("a", 4)) == 4
    assert cap_of([layer("a", 3), INLINE, layer("b", None, Level.CLUSTER_ENFORCE)], now("b", 1)) == 1


def test_deleted_options_hold_nothing_back() -> None:
    assert cap_of([layer("a", 3)], gone="a") is None
    assert cap_of([layer("a", 3), layer("b", 5)], gone="b") == 3


def test_a_cap_names_its_source() -> None:
    declared = recorded(encode(Snapshot(id="i", layers=(layer("a", 3),))), None)
    assert effective(declared, lambda *_: None, lambda _: False) == Cap(3, KIND, "a", "uid-a")


@pytest.mark.parametrize("text", [None, "", "junk", "[]", '{"layers": 3}'])
def test_an_invalid_snapshot_declares_nothing(text: str | None) -> None:
    assert recorded(text, None) == ()


caps = st.one_of(st.none(), st.integers(0, 9))


@given(frozen=st.lists(caps, min_size=1, max_size=4), edits=st.dictionaries(st.integers(0, 3), caps))
def test_the_cap_equals_that_of_the_merged_options(frozen: list[int | None], edits: dict[int, int | None]) -> None:
    layers = [layer(str(number), cap) for number, cap in enumerate(frozen)]
    options = [now(str(number), cap) for number, cap in edits.items()]
    by_name = {one.name: one for one in options}
    snapshot = Snapshot(id="i", layers=tuple(layers))
    live = edited(snapshot, Live(), lambda _, name: by_name.get(name))
    first, merged = (merge(these).max_parallelism for these in (layers, current_layers(snapshot, live)))
    limited = first is not None and first.value > 0
    expected = None if merged is None or merged.value == 0 or not limited else merged.value
    assert cap_of(layers, *options) == expected
    # Once the edits are recorded on the execution, the options themselves are no longer needed.
    assert cap_of(layers, live=live) == expected


def test_pods_with_the_same_options_share_their_declared_limits() -> None:
    text = encode(Snapshot(id="i", layers=(layer("a", 3),)))
    other = msgspec.json.encode(structs.replace(msgspec.json.decode(text, type=Snapshot), id="j")).decode()
    assert recorded(text, None) is recorded(other, None)
