"""A patch is exactly what happened to the document, whatever happened to it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.patch import Patch, parts, pointer
from support.rfc6902 import apply

_keys = st.sampled_from(("a", "b", "x/y", "t~1"))
_scalars = st.sampled_from(("", "v", 0, False, None))
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=2), max_leaves=4
)
_documents = st.dictionaries(_keys, _values, max_size=3)


def nodes(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Everything in ``value`` with its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(at, value), *(one for key, each in inner for one in nodes(each, (*at, key)))]


def containers(document: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Every object and list in ``document`` with its path."""
    return [(at, value) for at, value in nodes(document) if isinstance(value, dict | list)]


@given(_documents, st.data())
def test_the_operations_applied_to_the_original_give_the_changed_document(
    original: dict[str, Any], data: st.DataObject
) -> None:
    patch = Patch(copy.deepcopy(original))
    for _ in range(data.draw(st.integers(0, 8))):
        places = containers(patch.document)
        at, there = data.draw(st.sampled_from(places))
        if isinstance(there, dict):
            key = data.draw(_keys)
            action = data.draw(st.sampled_from(("put", "deep", "update", "extend", "prepend", "remove")))
            if action == "remove":
                patch.remove((*at, key))
            elif action == "deep" and there.get(key) is None:
                patch.put((*at, key, data.draw(_keys), "deep"), data.draw(_values))
            elif action == "update" and isinstance(there.get(key), dict | None):
                patch.update((*at, key), data.draw(st.dictionaries(_keys, _values, max_size=3)))
            elif action == "extend" and isinstance(there.get(key), list | None):
                patch.extend((*at, key), data.draw(st.lists(_values, max_size=3)))
            elif action == "prepend" and isinstance(there.get(key), list | None):
                patch.prepend((*at, key), data.draw(st.lists(_values, max_size=3)))
            else:
                patch.put((*at, key), data.draw(_values))
        elif there:
            patch.put((*at, data.draw(st.integers(0, len(there) - 1))), data.draw(_values))
    assert apply(original, patch.operations) == patch.document


@given(_documents, st.data())
def test_putting_what_is_there_records_nothing(document: dict[str, Any], data: st.DataObject) -> None:
    places = [(at, value) for at, value in nodes(document) if at]
    patch = Patch(copy.deepcopy(document))
    for at, value in data.draw(st.permutations(places)):
        patch.put(at, copy.deepcopy(value))
    assert patch.operations == []
    assert patch.document == document


def test_what_is_put_into_an_added_object_is_part_of_its_operation() -> None:
    patch = Patch({})
    patch.put(("metadata", "labels", "a"), "1")
    patch.put(("metadata", "labels", "b"), "2")
    patch.put(("metadata", "name"), "x")
    assert patch.operations == [
        {"op": "add", "path": "/metadata", "value": {"labels": {"a": "1", "b": "2"}, "name": "x"}}
    ]


def test_entries_of_an_added_list_are_recorded_once() -> None:
    patch = Patch({"c": {}})
    for value in ("1", "2"):
        patch.extend(("c", "env"), [value])
    assert patch.operations == [{"op": "add", "path": "/c/env", "value": ["1", "2"]}]


@pytest.mark.parametrize("value", [{"list": [], "map": {"k": "v"}}, {"list": ["x"], "map": {"k": "v", "l": {}}}])
def test_a_value_that_is_changed_after_it_was_put_is_no_second_operation(value: dict[str, Any]) -> None:
    original: dict[str, Any] = {"here": "before"}
    patch = Patch(copy.deepcopy(original))
    patch.put(("here",), value)
    patch.extend(("here", "list"), ["new"])
    patch.remove(("here", "map", "k"))
    patch.put(("here", "map", "other", "deep"), "x")
    assert len(patch.operations) == 1
    assert apply(original, patch.operations) == patch.document


def test_an_entry_that_is_changed_after_it_was_appended_is_no_second_operation() -> None:
    original: dict[str, Any] = {"env": [{"name": "A"}]}
    patch = Patch(copy.deepcopy(original))
    patch.extend(("env",), [{"name": "B", "value": "1"}])
    patch.remove(("env", 1, "value"))
    assert patch.operations == [{"op": "add", "path": "/env/-", "value": {"name": "B"}}]
    assert apply(original, patch.operations) == patch.document


def test_null_on_the_way_is_replaced() -> None:
    original: dict[str, Any] = {"metadata": {"labels": None}}
    patch = Patch(copy.deepcopy(original))
    patch.put(("metadata", "labels", "a"), "1")
    assert apply(original, patch.operations) == {"metadata": {"labels": {"a": "1"}}} == patch.document


def test_removing_what_is_absent_changes_nothing() -> None:
    patch = Patch({"a": {}})
    patch.remove(("a", "b"))
    patch.remove(("c", "d", "e"))
    assert patch.operations == []


@given(st.lists(st.text("a/~01é", min_size=1), min_size=1, max_size=4).map(tuple))
def test_a_pointer_can_be_taken_apart_again(path: tuple[str, ...]) -> None:
    assert tuple(parts(pointer(path))) == path
