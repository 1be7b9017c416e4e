"""Hypothesis strategies of specs as plain data: valid ones, and ones that are near the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from execution_options.api.notification import TERMINAL_PHASES

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Wire = dict[str, Any]

# Lone surrogates too: JSON can escape them.
TEXTS = st.text(st.characters(), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
PART = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?"
KEYS = st.from_regex(rf"\A(example\.(com|org)/)?x{PART}\Z")
VALUES = st.from_regex(rf"\A({PART})?\Z")
NAMES = st.from_regex(r"\A[a-z]([-a-z0-9]{0,10}[a-z0-9])?\Z")
PATTERNS = st.from_regex(r"\A[-a-z0-9.*?]{1,12}\Z")


def misshapen(
    schema: Wire, texts: SearchStrategy[Any] = TEXTS, strays: SearchStrategy[Any] = JSON
) -> SearchStrategy[Any]:
    """Values near the schema: each node of the right shape, or now and then a stray."""

    def below(node: Wire) -> SearchStrategy[Any]:
        return misshapen(node, texts, strays)

    right: SearchStrategy[Any]
    match schema.get("type"):
        case "object" if "additionalProperties" in schema:
            right = st.dictionaries(texts | KEYS, below(schema["additionalProperties"]), max_size=4)
        case "object":
            fields = schema.get("properties", {})
            required = set(schema.get("required", ()))
            right = st.fixed_dictionaries(
                {name: below(node) for name, node in fields.items() if name in required},
                optional={name: below(node) for name, node in fields.items() if name not in required},
            )
        case "array":
            right = st.lists(below(schema["items"]), max_size=4)
        case "string":
            right = st.sampled_from(schema["enum"]) if "enum" in schema else texts
        case "integer":
            right = st.integers()
        case "boolean":
            right = st.booleans()
        case _:
            return strays
    return st.integers(0, 19).flatmap(lambda chance: strays if chance == 0 else right)


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
).map(lambda spec: {"selector": {}, **spec} if spec.get("mode") == "Enforce" else spec)
