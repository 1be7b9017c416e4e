"""Whatever JSON comes in, validation answers; and specs made to the schema are valid."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.crd import KINDS
from execution_options.api.model import TERMINAL_PHASES
from execution_options.api.names import API_VERSION, OPTIONS_KIND
from execution_options.api.resources import from_api, load
from execution_options.api.schema import SPECS, spec_schema
from execution_options.api.validation import InvalidOptionsError, decoded, problems

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Wire = dict[str, Any]

# Lone surrogates too: JSON can escape them.
TEXTS = st.text(st.characters(), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
PART = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?"
KEYS = st.from_regex(rf"\A(example\.(com|org)/)?x{PART}\Z")
VALUES = st.from_regex(rf"\A({PART})?\Z")
NAMES = st.from_regex(r"\A[a-z]([-a-z0-9]{0,10}[a-z0-9])?\Z")
PATTERNS = st.from_regex(r"\A[-a-z0-9.*?]{1,12}\Z")


def misshapen(schema: Wire) -> SearchStrategy[Any]:
    """Values near the schema: each node of the right shape, or anything at all."""
    match schema["type"]:
        case "object" if "properties" in schema:
            fields = {name: misshapen(node) for name, node in schema["properties"].items()}
            right = st.fixed_dictionaries({}, optional=fields)
        case "object":
            right = st.dictionaries(
                TEXTS | KEYS, misshapen(schema.get("additionalProperties", {"type": "any"})), max_size=4
            )
        case "array":
            right = st.lists(misshapen(schema["items"]), max_size=4)
        case "string":
            right = TEXTS | st.sampled_from(schema.get("enum", ["s3://b/x", "a@b.c", "job"]))
        case "integer":
            right = st.integers()
        case "boolean":
            right = st.booleans()
        case _:
            return JSON
    return st.integers(0, 19).flatmap(lambda chance: JSON if chance == 0 else right)


def record(required: dict[str, SearchStrategy[Any]], **optional: SearchStrategy[Any]) -> SearchStrategy[Wire]:
    return st.fixed_dictionaries(required, optional=optional)


RECIPIENTS = st.lists(NAMES.map(lambda name: f"{name}@example.com"), min_size=1, max_size=3)
NOTIFICATIONS = st.builds(
    lambda transport, rest: transport | rest,
    st.one_of(
        *(record({name: record({"recipients": RECIPIENTS})}) for name in ("email", "slack", "pagerDuty")),
        st.just({"webhook": {}}),
    ),
    record(
        {"phases": st.lists(st.sampled_from(TERMINAL_PHASES), min_size=1, unique=True)},
        channelRef=record({"name": NAMES}),
        template=record({"body": st.text(min_size=1, max_size=40)}),
    ),
)
VALID = record(
    {},
    selector=record(
        {},
        engines=st.lists(NAMES, max_size=3, unique=True),
        names=st.lists(PATTERNS, max_size=3, unique=True),
        matchLabels=st.dictionaries(KEYS, VALUES, max_size=3),
        launchedBy=record({"kind": st.sampled_from(["CronJob", "CronWorkflow"]), "name": PATTERNS}),
    ),
    mode=st.sampled_from(["Default", "Enforce"]),
    priority=st.integers(-1000000, 1000000),
    labels=st.dictionaries(KEYS, VALUES, max_size=5),
    annotations=st.dictionaries(KEYS, st.text(max_size=40), max_size=5),
    securityContext=record({}, runAs=record({}, k8sServiceAccount=NAMES | st.just(""))),
    rawOutputDataConfig=record({"outputLocationPrefix": NAMES.map(lambda name: f"s3://{name}/x")}),
    maxParallelism=st.integers(0, 2**31 - 1),
    overwriteCache=st.booleans(),
    envs=st.lists(
        record({"name": st.from_regex(r"\A[A-Z][A-Z0-9_]{0,8}\Z"), "value": TEXTS.map(lambda t: t.replace("\0", ""))}),
        max_size=4,
        unique_by=lambda env: env["name"],
    ),
    notifications=st.lists(NOTIFICATIONS, max_size=3),
    disableNotifications=st.booleans(),
)


@given(spec=st.one_of(JSON, misshapen(spec_schema(KINDS[1]))), kind=st.sampled_from(KINDS))
def test_any_json_gets_an_answer(spec: Any, kind: str) -> None:
    for problem in problems(spec, kind):
        assert problem.message
        assert str(problem)


@given(spec=st.one_of(JSON, misshapen(spec_schema(KINDS[0]))), metadata=JSON)
def test_any_object_is_understood_or_refused(spec: Any, metadata: Any) -> None:
    manifest = {"apiVersion": API_VERSION, "kind": OPTIONS_KIND, "metadata": metadata, "spec": spec}
    for read in (load, from_api):
        with suppress(InvalidOptionsError):
            assert read(manifest).kind == OPTIONS_KIND


@given(misshapen(spec_schema(KINDS[0])))
def test_what_passes_is_what_the_model_can_hold(spec: Any) -> None:
    """The model's own bounds (msgspec) are never stricter than the schema's."""
    if not problems(spec, OPTIONS_KIND):
        msgspec.convert(spec, SPECS[OPTIONS_KIND])


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
