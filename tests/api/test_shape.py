"""Types and bounds are checked as the API server checks them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from execution_options.api.names import CLUSTER_OPTIONS_KIND
from execution_options.api.problem import Problem
from execution_options.api.schema import Schema, spec_schema
from execution_options.api.shape import shape_problems, without_nulls
from support.specs import JSON, VALID, Wire

INT: Schema = {"type": "integer", "format": "int32", "minimum": 1}
TEXT: Schema = {"type": "string", "maxLength": 2}
BY_NAME: Schema = {
    "type": "array",
    "maxItems": 3,
    "items": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (INT, 0, Problem("p", "must be from 1 to 2147483647")),
        (INT, True, Problem("p", "must be a whole number, not true")),
        (TEXT, "abc", Problem("p", "has 3 characters; at most 2 are possible")),
        (TEXT, 1.5, Problem("p", "must be a string, not 1.5: quote it")),
        ({"type": "boolean"}, "yes", Problem("p", 'must be true or false, not "yes"')),
        (BY_NAME, {}, Problem("p", "must be a list, not a map")),
        (BY_NAME, [{"name": n} for n in "abcd"], Problem("p", "has 4 items; at most 3 are possible")),
        (BY_NAME, [{}], Problem("p[0].name", "is required")),
        (BY_NAME, [{"name": "a", "b": 1}], Problem("p[0].b", "unknown field")),
        (BY_NAME, [{"name": "a"}] * 3, Problem("p[1]", 'Duplicate value: {"name":"a"}')),
    ],
)
def test_a_wrong_value_has_one_problem_at_its_place(schema: Schema, value: Any, expected: Problem) -> None:
    assert list(shape_problems(schema, value, "p")) == [expected]


@given(VALID)
def test_a_valid_spec_has_the_right_shape(spec: Wire) -> None:
    assert list(shape_problems(spec_schema(CLUSTER_OPTIONS_KIND), spec, "spec")) == []


@given(JSON)
def test_null_fields_are_removed_where_the_schema_knows_them_only(value: Any) -> None:
    schema: Schema = {"type": "object", "properties": {"known": {"type": "object", "additionalProperties": TEXT}}}
    document = {"known": value, "unknown": value}
    found = without_nulls(schema, document)
    assert found["unknown"] == value
    assert ("known" in found) == (value is not None)
    if isinstance(value, dict):
        assert list(found["known"]) == [key for key, one in value.items() if one is not None]
