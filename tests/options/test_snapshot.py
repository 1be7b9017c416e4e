"""The snapshot: frozen options are decoded unchanged, and anything else is refused."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET, structs

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.size import MAX_SNAPSHOT
from execution_options.options.levels import Layer, Level
from execution_options.options.merge import merge
from execution_options.options.snapshot import (
    InvalidSnapshotError,
    Snapshot,
    SnapshotTooLargeError,
    decode,
    encode,
    frozen,
    new_id,
)
from support.options import layer
from support.strategies import layer_stacks

snapshots = st.builds(
    lambda layers, **rest: Snapshot(id=new_id(), layers=tuple(map(frozen, layers)), **rest),
    layer_stacks(),
    location=st.sampled_from(("", "s3://bucket/team-a/train-1/")),
    authored=st.dictionaries(st.sampled_from(("/metadata/labels/tier", "/spec/a~1b")), st.text(max_size=3), max_size=2),
)


@given(snapshots)
def test_a_snapshot_comes_back_as_it_was(snapshot: Snapshot) -> None:
    text = encode(snapshot)
    assert decode(text) == snapshot
    assert encode(decode(text)) == text
    assert len(text.encode()) <= MAX_SNAPSHOT


@given(layer_stacks())
def test_freezing_does_not_change_the_effective_options(layers: tuple[Layer, ...]) -> None:
    assert merge(map(frozen, layers)) == merge(layers)


@given(layer_stacks())
def test_freezing_drops_only_the_fields_for_selection(layers: tuple[Layer, ...]) -> None:
    for before in layers:
        after = frozen(before)
        assert type(after.spec) is ExecutionOptionsSpec
        assert after.source == before.source
        for field in ExecutionOptionsSpec.__struct_fields__:
            dropped = field in ("selector", "mode", "priority")
            assert getattr(after.spec, field) == (UNSET if dropped else getattr(before.spec, field))
        assert frozen(after) == after


def test_the_text_is_compact_and_has_no_absent_values() -> None:
    snapshot = Snapshot(id="0123456789abcdef", layers=(layer(Level.EXECUTION, {"maxParallelism": 0}, "nightly"),))
    assert encode(snapshot) == (
        '{"id":"0123456789abcdef","layers":[{"source":{"level":5,"kind":"ExecutionOptions","name":"nightly"},'
        '"spec":{"maxParallelism":0}}]}'
    )


def test_identifiers_differ_and_are_label_values() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)


def sized(size: int) -> Snapshot:
    """A snapshot whose text takes ``size`` bytes."""
    empty = Snapshot(id="x", authored={"/spec": ""})
    return structs.replace(empty, authored={"/spec": "a" * (size - len(encode(empty)))})


def test_a_snapshot_may_take_16_kib_and_not_a_byte_more() -> None:
    assert len(encode(sized(16 * 1024))) == 16 * 1024
    with pytest.raises(SnapshotTooLargeError, match="take 16385 bytes together, at most 16384 fit"):
        encode(sized(16 * 1024 + 1))


def test_the_limit_counts_bytes_and_not_characters() -> None:
    many = layer(Level.EXECUTION, {"annotations": {f"k{i}": "ä" * 2900 for i in range(3)}})
    with pytest.raises(SnapshotTooLargeError):
        encode(Snapshot(id="x", layers=(many,)))


def test_a_snapshot_that_is_too_large_names_its_largest_source() -> None:
    small = layer(Level.CLUSTER_DEFAULT, {"annotations": {"a": "x" * 1000}}, "small")
    large = layer(Level.NAMESPACE_DEFAULT, {"annotations": {f"a{i}": "x" * 4000 for i in range(4)}}, "large")
    with pytest.raises(
        SnapshotTooLargeError,
        match=r"the largest is ExecutionOptions large \(namespace default\) with 160\d\d bytes",
    ):
        encode(Snapshot(id="x", layers=(small, large)))


def test_a_snapshot_that_is_too_large_may_name_the_authors_values() -> None:
    with pytest.raises(SnapshotTooLargeError, match="the largest is what the author wrote with"):
        encode(sized(MAX_SNAPSHOT + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"id":1}',
        '{"id":"x","layers":{}}',
        '{"id":"x"',
        '{"id":"x"} {"id":"y"}',
        "\x00",
        "\ud800",
        '{"id":"x","layers":[{"source":{"level":8,"kind":"a","name":"b"},"spec":{}}]}',
        '{"id":"x","layers":[{"source":{"level":true,"kind":"a","name":"b"},"spec":{}}]}',
        '{"id":"x","layers":[{"source":{"level":1,"kind":"a","name":"b"},"spec":{"maxParallelism":"8"}}]}',
        '{"id":"x","layers":[{"source":{"level":1,"kind":"a","name":"b","generation":1e999},"spec":{}}]}',
        '{"id":"x","layers":[{"source":{"level":1,"kind":"a","name":"b","generation":' + "9" * 5000 + '},"spec":{}}]}',
        '{"id":"x","more":' + "[" * 100_000,
    ],
    ids=lambda text: ascii(text)[:60],
)
def test_anything_but_a_snapshot_is_refused(text: str) -> None:
    with pytest.raises(InvalidSnapshotError, match=r"\w"):
        decode(text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("id", "layers", "authored", "source", "spec", "level", "labels")), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(st.text() | _json.map(json.dumps))
@example('{"id":"x","authored":null}')
def test_any_text_is_a_snapshot_or_is_refused(text: str) -> None:
    try:
        snapshot = decode(text)
    except InvalidSnapshotError:
        return  # any other exception fails the test
    assert decode(encode(snapshot)) == snapshot


@given(snapshots, st.data())
def test_a_snapshot_that_was_cut_off_is_refused(snapshot: Snapshot, data: st.DataObject) -> None:
    text = encode(snapshot)
    with pytest.raises(InvalidSnapshotError):
        decode(text[: data.draw(st.integers(0, len(text) - 1))])


def test_a_field_that_a_newer_operator_wrote_does_not_make_a_snapshot_unreadable() -> None:
    snapshot = Snapshot(id="1", layers=(layer(Level.EXECUTION, {"labels": {"a": "b"}}),))
    newer = json.loads(encode(snapshot))
    newer["layers"][0]["spec"]["somethingNew"] = {"deep": True}
    newer["layers"][0]["spec"]["notifications"] = [{"phases": ["FAILED"], "email": {"recipients": ["a@b"], "new": 1}}]
    read = decode(json.dumps(newer))
    assert read.layers[0].spec.labels == {"a": "b"}
    assert read.layers[0].spec.notifications is not UNSET
