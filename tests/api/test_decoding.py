"""Whatever somebody writes into an object, decoding it ends with the object or with one kind of error."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from execution_options.api.decoding import DEEPEST, UnreadableError, pruned, read, read_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=25,
)
LEVELS = 5_000
"""More than any decoder bears that recurses, less than the 10,000 that the API server accepts."""


def nested(levels: int, inside: str = "1") -> str:
    return '{"f:a":' * levels + inside + "}" * levels


class Named(Struct):
    name: str
    labels: dict[str, str] | None = None


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(one) for one in value.values()), default=0)
    return 1 + max((depth(one) for one in value), default=0) if isinstance(value, list) else 0


def cut(value: Any, levels: int) -> Any:
    """What pruning is to do, by recursion."""
    if isinstance(value, dict):
        return {key: cut(one, levels - 1) for key, one in value.items()} if levels else None
    if isinstance(value, list):
        return [cut(one, levels - 1) for one in value] if levels else None
    return value


@given(JSON, st.integers(0, 6), st.sampled_from([None, 2]), st.booleans())
def test_pruning_replaces_exactly_what_is_nested_too_deeply(
    value: Any, levels: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert json.loads(pruned(text, levels)) == cut(value, levels)
    if depth(value) <= levels:
        assert pruned(text, levels) == text


@given(st.binary())
def test_what_is_no_json_is_one_kind_of_error(data: bytes) -> None:
    try:
        expected = json.loads(data.decode())
    except (ValueError, RecursionError):
        with pytest.raises(UnreadableError):
            read(data, Named)
    else:
        assert not isinstance(expected, dict) or "name" not in expected


def test_an_object_with_a_deep_tree_beside_what_is_read_is_read() -> None:
    text = f'{{"deep": {nested(LEVELS)}, "name": "a", "labels": {{"b": "c"}}}}'
    assert read(text.encode(), Named) == Named("a", {"b": "c"})
    assert read(text, Named).name == "a"
    assert read(msgspec.Raw(text.encode()), Named).name == "a"


def test_raw_values_are_kept_as_far_as_they_are_not_too_deep() -> None:
    text = f'{{"deep": {nested(LEVELS)}, "spec": {{"name": "a"}}}}'.encode()
    assert read(read(text, dict[str, msgspec.Raw])["spec"], Named).name == "a"


def test_a_deep_value_where_something_else_is_wanted_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="name"):
        read(f'{{"name": {nested(LEVELS)}}}'.encode(), Named)


def test_a_type_that_fails_while_it_is_made_is_unreadable() -> None:
    class Fails(Struct):
        name: str

        def __post_init__(self) -> None:
            raise AttributeError("no such thing")

    with pytest.raises(UnreadableError, match="no such thing"):
        read(b'{"name": "a"}', Fails)


def test_a_document_is_never_deeper_than_what_can_be_copied() -> None:
    found = read_object(f'{{"name": "a", "deep": {nested(300)}}}'.encode())
    assert depth(found) == DEEPEST
    assert found["name"] == "a"
    assert read_object(b'{"list": [' + b"{}," * 500 + b"{}]}") == {"list": [{}] * 501}


def test_a_document_is_an_object() -> None:
    with pytest.raises(UnreadableError):
        read_object(b"[1]")
