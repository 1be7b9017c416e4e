"""A stored spec is read the same way whether it takes the fast path or the walk through the schema."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from execution_options.api.decoding import UnreadableError
from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.stored import read_spec, unknown_fields
from execution_options.api.validation import decoded, problems
from support.specs import VALID, Wire


def raw(spec: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(spec).encode())


@given(VALID)
def test_a_valid_spec_is_decoded_with_and_without_unknown_fields(spec: Wire) -> None:
    expected = decoded(spec, OPTIONS_KIND)
    assert read_spec(raw(spec), OPTIONS_KIND) == (expected, ())
    assert read_spec(raw({**spec, "newer": {"a": 1}}), OPTIONS_KIND) == (expected, ("spec.newer",))


@pytest.mark.parametrize(
    "spec", [{"maxParallelism": -1}, {"labels": {"a b": "c"}}, {"envs": [{"name": "A", "value": "1"}] * 2}]
)
def test_a_spec_that_breaks_a_rule_is_refused_with_its_problems(spec: Wire) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        read_spec(raw(spec), OPTIONS_KIND)
    assert refusal.value.problems == problems(spec, OPTIONS_KIND) != []


def test_a_spec_is_an_object() -> None:
    with pytest.raises(UnreadableError):
        read_spec(raw([]), OPTIONS_KIND)


def test_unknown_fields_are_removed_at_every_level() -> None:
    spec = {"a": 1, "namespaceSelector": {"b": 2}, "envs": [{"name": "A", "value": "", "c": 3}], "labels": {"d": "4"}}
    known = {"namespaceSelector": {}, "envs": [{"name": "A", "value": ""}], "labels": {"d": "4"}}
    assert unknown_fields(spec, CLUSTER_OPTIONS_KIND) == (
        known,
        ("spec.a", "spec.namespaceSelector.b", "spec.envs[0].c"),
    )
