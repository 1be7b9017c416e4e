"""Hypothesis strategies of the options model.

Keys, names and values come from small sets, so that objects meet on the same field often; specs are
generated as users write them and therefore always pass the model's own validation.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from msgspec import convert

from execution_options.api.model import ClusterExecutionOptionsSpec, ExecutionOptionsSpec
from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.notification import TERMINAL_PHASES
from execution_options.api.resources import OptionsObject
from execution_options.api.selector import LabelSelector
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.reference import Reference, Target
from execution_options.options.selection import Execution, LaunchPlan
from support.options import NAMESPACE

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Wire = dict[str, Any]

KEYS = ("cost-center", "example.com/team", "tier")
ENGINES = ("job", "argo-workflow", "ray-job")
EXECUTION_NAMES = ("train-1", "train-", "eval")
PLANS = ("nightly", "weekly")
OPTIONS_NAMES = ("a", "b", "c")


@st.composite
def wire(draw: st.DrawFn, /, required: dict[str, SearchStrategy[Any]], **optional: SearchStrategy[Any]) -> Wire:
    """An object with these fields, some of the optional ones left out; which ones is one choice."""
    chosen = draw(st.integers(0, 2 ** len(optional) - 1)) if optional else 0
    fields = required | {name: value for place, (name, value) in enumerate(optional.items()) if chosen >> place & 1}
    return {name: draw(value) for name, value in fields.items()}


def subset(values: tuple[str, ...], min_size: int = 0) -> SearchStrategy[list[str]]:
    """Some of these values. One choice instead of one for each value: that is what makes it fast."""
    sizes = range(min_size, len(values) + 1)
    return st.sampled_from([list(some) for size in sizes for some in combinations(values, size)])


def mapping(keys: tuple[str, ...], values: tuple[str, ...]) -> SearchStrategy[dict[str, str]]:
    """A map of some of these keys to any of these values, by one choice."""
    every = product((None, *values), repeat=len(keys))
    return st.sampled_from([{k: v for k, v in zip(keys, row, strict=True) if v is not None} for row in every])


label_maps = mapping(KEYS, ("", "x", "y"))

requirements = st.one_of(
    wire(
        {
            "key": st.sampled_from(KEYS),
            "operator": st.sampled_from(("In", "NotIn")),
            "values": subset(("", "x", "y"), min_size=1),
        }
    ),
    wire({"key": st.sampled_from(KEYS), "operator": st.sampled_from(("Exists", "DoesNotExist"))}),
)
_label_terms = {"matchLabels": label_maps, "matchExpressions": st.lists(requirements, max_size=2)}
label_selectors = wire({}, **_label_terms).map(lambda selector: convert(selector, LabelSelector))

_selectors: SearchStrategy[Wire] = st.one_of(
    st.just({}),
    wire(
        {},
        engines=subset(ENGINES),
        names=subset(("*", "train-*", "e?al")),
        launchedBy=wire({"kind": st.just("CronJob"), "name": st.sampled_from(("nightly", "week*"))}),
        **_label_terms,
    ),
)

_recipients = subset(("ann@example.com", "bob@example.com", "eve@example.com"), min_size=1)
_about: dict[str, SearchStrategy[Any]] = {"phases": subset(TERMINAL_PHASES, min_size=1)}
_details: dict[str, SearchStrategy[Any]] = {
    "channelRef": wire({"name": st.just("ops")}),
    "template": wire({"subject": st.just("It ended")}),
}
_notifications = st.one_of(
    *(
        wire(_about | {transport: wire({"recipients": _recipients})}, **_details)
        for transport in ("email", "slack", "pagerDuty")
    ),
    wire(_about | {"webhook": st.just({})}, **_details),
)

_run_as = wire(
    {},
    k8sServiceAccount=st.sampled_from(("", "trainer", "reader")),
    iamRole=st.sampled_from(("arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b")),
    serviceAccountPolicy=st.sampled_from(("Require", "Create")),
)

_values: dict[str, SearchStrategy[Any]] = {
    "updatePolicy": st.sampled_from(("Live", "NextExecution")),
    "labels": label_maps,
    "annotations": label_maps,
    "securityContext": wire({}, runAs=_run_as),
    "rawOutputDataConfig": wire({"outputLocationPrefix": st.sampled_from(("s3://bucket/a", "gs://bucket/b", "/data"))}),
    "maxParallelism": st.sampled_from((0, 1, 8)),
    "overwriteCache": st.booleans(),
    "envs": mapping(("A", "B"), ("", "1", "2")).map(
        lambda envs: [{"name": name, "value": value} for name, value in envs.items()]
    ),
    "notifications": st.lists(_notifications, max_size=3),
    "disableNotifications": st.booleans(),
    "notificationGuarantee": st.sampled_from(("Observed", "Held")),
}
_reach: dict[str, SearchStrategy[Any]] = {
    "selector": _selectors,
    "mode": st.sampled_from(("Default", "Enforce")),
    "priority": st.sampled_from((-1, 0, 5)),
}

specs = wire({}, **_values, **_reach).map(lambda spec: convert(spec, ExecutionOptionsSpec))
cluster_specs = wire({}, **_values, **_reach, namespaceSelector=wire({}, **_label_terms)).map(
    lambda spec: convert(spec, ClusterExecutionOptionsSpec)
)

_uids = st.sampled_from(("", "0a1b"))
_generations = st.integers(0, 3)
options_objects = st.one_of(
    st.builds(
        OptionsObject,
        kind=st.just(OPTIONS_KIND),
        name=st.sampled_from(OPTIONS_NAMES),
        namespace=st.just(NAMESPACE),
        uid=_uids,
        generation=_generations,
        spec=specs,
    ),
    st.builds(
        OptionsObject,
        kind=st.just(CLUSTER_OPTIONS_KIND),
        name=st.sampled_from(OPTIONS_NAMES),
        uid=_uids,
        generation=_generations,
        spec=cluster_specs,
    ),
)
candidates = st.lists(options_objects, max_size=5, unique_by=lambda options: (options.kind, options.name))
"""What select chooses from: objects of one namespace and of the cluster, each name once."""

_targets = st.builds(Target, st.sampled_from((OPTIONS_KIND, CLUSTER_OPTIONS_KIND)), st.sampled_from(OPTIONS_NAMES))
references = st.one_of(
    st.just(Reference(opt_out=True)),
    st.builds(Reference, targets=st.lists(_targets, min_size=1, max_size=3, unique=True).map(tuple)),
)
_inline = wire({}, **{name: values for name, values in _values.items() if name != "updatePolicy"}).map(
    lambda spec: convert(spec, ExecutionOptionsSpec)
)
executions = st.builds(
    Execution,
    engine=st.sampled_from(ENGINES),
    namespace=st.just(NAMESPACE),
    namespace_labels=label_maps,
    name=st.sampled_from(("", *EXECUTION_NAMES)),
    generate_name=st.sampled_from(EXECUTION_NAMES),
    labels=label_maps,
    reference=st.none() | references,
    inline=st.none() | _inline,
    launch_plan=st.none()
    | st.builds(LaunchPlan, st.just("CronJob"), st.sampled_from(PLANS), st.none() | references, st.none() | _inline),
    disable_notifications=st.none() | st.booleans(),
)


@st.composite
def layer_stacks(draw: st.DrawFn) -> tuple[Layer, ...]:
    """Layers as merge takes them: lowest level first, several on one level, every source another."""
    levels = sorted(draw(st.lists(st.sampled_from(Level), max_size=5)))
    return tuple(
        Layer(
            Source(level, OPTIONS_KIND, f"options-{place}", draw(_uids), draw(_generations)),
            draw(cluster_specs if level in (Level.CLUSTER_DEFAULT, Level.CLUSTER_ENFORCE) else specs),
        )
        for place, level in enumerate(levels)
    )
