"""Whatever JSON comes in, validation answers; and specs made to the schema are valid."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given, reject
from hypothesis import strategies as st

from execution_options.api.kinds import KINDS
from execution_options.api.names import API_VERSION, CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError, Problem
from execution_options.api.resources import OptionsObject, from_api, load, read_stored
from execution_options.api.schema import spec_schema
from execution_options.api.validation import OPTIONS, decoded, problems
from support.specs import JSON, VALID, Wire, misshapen

if TYPE_CHECKING:
    from collections.abc import Callable


@given(spec=st.one_of(JSON, misshapen(spec_schema(CLUSTER_OPTIONS_KIND))), kind=st.sampled_from(sorted(KINDS)))
def test_any_json_gets_an_answer(spec: Any, kind: str) -> None:
    for problem in problems(spec, kind):
        assert problem.message
        assert str(problem)


@given(spec=st.one_of(JSON, misshapen(spec_schema(OPTIONS_KIND))), metadata=JSON)
def test_any_object_is_understood_or_refused(spec: Any, metadata: Any) -> None:
    manifest = {"apiVersion": API_VERSION, "kind": OPTIONS_KIND, "metadata": metadata, "spec": spec}
    for read in (load, from_api):
        with suppress(InvalidOptionsError):
            assert read(manifest).kind == OPTIONS_KIND


@given(misshapen(spec_schema(OPTIONS_KIND)))
def test_what_passes_is_what_the_model_can_hold(spec: Any) -> None:
    """The model's own bounds (msgspec) are never stricter than the schema's."""
    if not problems(spec, OPTIONS_KIND):
        decoded(spec, OPTIONS_KIND)


@given(VALID)
def test_a_spec_made_to_the_rules_is_valid_and_kept(spec: Wire) -> None:
    assert problems(spec, OPTIONS_KIND) == []
    assert msgspec.to_builtins(decoded(spec, OPTIONS_KIND), str_keys=True) == as_tuples(spec)


def as_tuples(value: Any) -> Any:
    match value:
        case dict():
            return {key: as_tuples(child) for key, child in value.items()}
        case list():
            return tuple(as_tuples(item) for item in value)
    return value


@given(spec=st.one_of(VALID, JSON, misshapen(spec_schema(CLUSTER_OPTIONS_KIND))), kind=st.sampled_from(sorted(OPTIONS)))
def test_a_stored_spec_is_the_same_however_it_is_read(spec: Any, kind: str) -> None:
    metadata = {"name": "o", "namespace": "team", "uid": "1", "generation": 2}
    try:
        text = json.dumps(spec, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        reject()  # neither half a character nor infinity is JSON
    assert read(lambda: read_stored(kind, metadata, msgspec.Raw(text))) == read(
        lambda: from_api({"kind": kind, "metadata": metadata, "spec": json.loads(text)})
    )


def read(reading: Callable[[], OptionsObject]) -> OptionsObject | list[Problem]:
    try:
        return reading()
    except InvalidOptionsError as error:
        return error.problems
