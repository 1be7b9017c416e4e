"""Precedence from end to end: candidates in, effective values and their sources out.

Low to high: cluster defaults, namespace defaults, the author, the launch plan's reference, the execution's
own reference, what the namespace enforces, what the cluster enforces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import CLUSTER_OPTIONS_KIND
from execution_options.api.security_context import RunAs
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.merge import Effective, merge
from execution_options.options.selection import Execution, select
from support.options import cluster, execution, namespaced
from support.strategies import candidates, executions, specs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.api.resources import OptionsObject

Spec = dict[str, Any]


def decide(
    run: Execution, found: Iterable[OptionsObject], author: Spec | ExecutionOptionsSpec | None = None
) -> Effective:
    """Select and merge, with the author's values on their level."""
    layers = list(select(run, found).layers)
    if author is not None:
        spec = convert(author, ExecutionOptionsSpec) if isinstance(author, dict) else author
        layers.append(Layer(Source(Level.AUTHOR, "Job", "train-1"), spec))
    return merge(sorted(layers, key=lambda layer: layer.source.level))


def at_every_level(values: dict[Level, Spec]) -> Effective:
    """The result of one source on each of these levels."""
    plain: dict[Level, Spec] = {level: values.get(level, {}) for level in Level}
    return decide(
        execution("mine", plan_options="plan"),
        [
            namespaced("mine", plain[Level.EXECUTION]),
            namespaced("plan", plain[Level.LAUNCH_PLAN]),
            cluster("base", {"selector": {}} | plain[Level.CLUSTER_DEFAULT]),
            namespaced("team", {"selector": {}} | plain[Level.NAMESPACE_DEFAULT]),
            namespaced("rules", {"selector": {}, "mode": "Enforce"} | plain[Level.NAMESPACE_ENFORCE]),
            cluster("law", {"selector": {}, "mode": "Enforce"} | plain[Level.CLUSTER_ENFORCE]),
        ],
        plain[Level.AUTHOR],
    )


@pytest.mark.parametrize("winner", Level)
def test_the_highest_level_with_a_value_wins(winner: Level) -> None:
    effective = at_every_level(
        {
            level: {
                "maxParallelism": int(level),
                "labels": {"tier": f"l{level}", f"only-{level}": ""},
                "envs": [{"name": "KEY", "value": str(int(level))}],
            }
            for level in Level
            if level <= winner
        }
    )
    assert effective.max_parallelism is not None
    assert effective.max_parallelism.value == winner
    assert effective.max_parallelism.source.level == winner
    assert effective.labels["tier"].value == f"l{winner}"
    assert effective.envs["KEY"].source.level == winner
    for level in Level:
        assert (f"only-{level}" in effective.labels) == (level <= winner)


D, E = Level.CLUSTER_DEFAULT, Level.CLUSTER_ENFORCE
ND, NE = Level.NAMESPACE_DEFAULT, Level.NAMESPACE_ENFORCE
A, P, X = Level.AUTHOR, Level.LAUNCH_PLAN, Level.EXECUTION


def account(name: str, **rest: str) -> Spec:
    return {"securityContext": {"runAs": {"k8sServiceAccount": name, **rest}}}


@pytest.mark.parametrize(
    ("specs_by_level", "field", "value", "level"),
    [
        pytest.param(
            {D: {"maxParallelism": 64}, ND: {"maxParallelism": 8}, A: {"maxParallelism": 4}, X: {"labels": {"a": ""}}},
            "max_parallelism",
            4,
            A,
            id="defaults only fill what the author left open",
        ),
        pytest.param(
            {D: {"maxParallelism": 64}, A: {"maxParallelism": 4}, P: {"maxParallelism": 2}, X: {"maxParallelism": 0}},
            "max_parallelism",
            0,
            X,
            id="no limit, passed when the execution was started, beats every lower cap",
        ),
        pytest.param(
            {D: {"maxParallelism": 0}, ND: {"maxParallelism": 8}, X: {"maxParallelism": 0}, E: {"maxParallelism": 16}},
            "max_parallelism",
            16,
            E,
            id="nobody talks himself out of an enforced cap with 0",
        ),
        pytest.param(
            {D: {"overwriteCache": True}, ND: {"overwriteCache": False}, A: {}, NE: {"overwriteCache": False}},
            "overwrite_cache",
            False,
            NE,
            id="an enforced false is a value",
        ),
        pytest.param(
            {D: account("base", iamRole="role"), ND: account("team"), A: account("own"), P: account("")},
            "run_as",
            RunAs(k8s_service_account=""),
            P,
            id="an empty account clears all below it, the role of the lowest included",
        ),
        pytest.param(
            {
                A: account("own"),
                X: account("mine", iamRole="role", serviceAccountPolicy="Create"),
                NE: account("team"),
                E: account("law"),
            },
            "run_as",
            RunAs(k8s_service_account="law"),
            E,
            id="an enforced account takes no role from the one it replaces",
        ),
        pytest.param(
            {
                D: {"disableNotifications": True},
                ND: {"disableNotifications": False},
                P: {"disableNotifications": True},
                X: {"disableNotifications": False},
            },
            "disable_notifications",
            False,
            X,
            id="each level lifts or restores the silence of those below",
        ),
        pytest.param(
            {
                D: {"disableNotifications": False},
                ND: {"disableNotifications": True},
                A: {"labels": {"a": ""}},
                NE: {"maxParallelism": 1},
            },
            "disable_notifications",
            True,
            ND,
            id="higher levels that do not speak of silence leave it",
        ),
        pytest.param(
            {
                P: {"disableNotifications": False},
                X: {"disableNotifications": False},
                NE: {"disableNotifications": False},
                E: {"disableNotifications": True},
            },
            "disable_notifications",
            True,
            E,
            id="enforced silence is not lifted",
        ),
        pytest.param(
            {
                D: {"rawOutputDataConfig": {"outputLocationPrefix": "s3://base"}},
                ND: {"rawOutputDataConfig": {"outputLocationPrefix": "s3://team"}},
                P: {"rawOutputDataConfig": {"outputLocationPrefix": "s3://plan"}},
                NE: {"notificationGuarantee": "Held"},
            },
            "output_location_prefix",
            "s3://plan",
            P,
            id="a launch plan's prefix beats the defaults'",
        ),
        pytest.param(
            {
                D: {"notificationGuarantee": "Held"},
                ND: {"notificationGuarantee": "Observed"},
                A: {},
                X: {"notificationGuarantee": "Held"},
                NE: {"notificationGuarantee": "Observed"},
            },
            "notification_guarantee",
            "Observed",
            NE,
            id="a namespace enforces over its executions",
        ),
    ],
)
def test_the_right_level_wins(specs_by_level: dict[Level, Spec], field: str, value: object, level: Level) -> None:
    sourced = getattr(at_every_level(specs_by_level), field)
    assert sourced.value == value
    assert sourced.source.level == level


def test_maps_of_all_levels_come_together_key_by_key() -> None:
    effective = at_every_level(
        {
            D: {"labels": {"cost-center": "shared", "region": "eu", "a": "d"}},
            ND: {"labels": {"cost-center": "ml", "team": "vision"}},
            A: {"labels": {"team": "own", "app": "train"}},
            P: {"labels": {"app": "nightly"}},
            X: {"labels": {"cost-center": "none-of-yours", "a": ""}},
            E: {"labels": {"cost-center": "4711"}},
        }
    )
    assert {key: (label.value, label.source.level) for key, label in effective.labels.items()} == {
        "cost-center": ("4711", E),
        "region": ("eu", D),
        "team": ("own", A),
        "app": ("nightly", P),
        "a": ("", X),
    }
    assert [(lost.field, lost.value, lost.source.level, lost.by.level) for lost in effective.overridden] == [
        ("labels[cost-center]", "shared", D, E),
        ("labels[a]", "d", D, X),
        ("labels[cost-center]", "ml", ND, E),
        ("labels[team]", "vision", ND, A),
        ("labels[app]", "train", A, P),
        ("labels[cost-center]", "none-of-yours", X, E),
    ]


def test_notifications_of_all_levels_add_up() -> None:
    def mail(phase: str, who: str) -> Spec:
        return {"notifications": [{"phases": [phase], "email": {"recipients": [f"{who}@example.com"]}}]}

    effective = at_every_level(
        {
            D: mail("FAILED", "platform"),
            ND: mail("FAILED", "team"),
            P: mail("SUCCEEDED", "team"),
            X: mail("FAILED", "team"),
            E: mail("TIMED_OUT", "audit"),
        }
    )
    assert [(one.value.phases, one.source.level) for one in effective.notifications] == [
        (("FAILED",), D),
        (("FAILED",), ND),
        (("SUCCEEDED",), P),
        (("TIMED_OUT",), E),
    ]


LAW = cluster("law", {"selector": {}, "mode": "Enforce", "labels": {"tier": "law"}, "maxParallelism": 8})
RULES = namespaced("rules", {"selector": {}, "mode": "Enforce", "labels": {"tier": "rules"}, "envs": []})
TEAM = namespaced("team", {"selector": {}, "labels": {"tier": "team", "team": "a"}})
MINE = namespaced("mine", {"labels": {"tier": "mine"}, "maxParallelism": 0})
TRICK = cluster("trick", {"mode": "Enforce", "priority": 1000, "labels": {"tier": "trick"}, "maxParallelism": 0})
OFF = namespaced("off", {"disableNotifications": True})
ON = namespaced("on", {"disableNotifications": False})
LOUD = namespaced("loud", {"selector": {}, "mode": "Enforce", "disableNotifications": False})


@pytest.mark.parametrize(
    ("run", "found", "labels", "parallelism", "silent"),
    [
        pytest.param(
            execution("mine"),
            [LAW, RULES, TEAM, MINE],
            {"tier": "law", "team": "a"},
            8,
            None,
            id="a reference does not beat what is enforced",
        ),
        pytest.param(execution("none"), [LAW, TEAM, MINE], {"tier": "law"}, 8, None, id="none leaves what is enforced"),
        pytest.param(
            execution("none", plan_options="mine"),
            [RULES, TEAM, MINE],
            {"tier": "rules"},
            None,
            None,
            id="none declines the launch plan's options and the defaults",
        ),
        pytest.param(
            execution("none"), [TEAM, MINE], {"tier": "own", "author": ""}, 3, None, id="none leaves the author alone"
        ),
        pytest.param(
            execution("mine", plan_options="none"),
            [TEAM, MINE],
            {"tier": "mine", "author": ""},
            0,
            None,
            id="a launch plan's none declines the defaults, the execution's own options count",
        ),
        pytest.param(
            execution("cluster/trick"),
            [LAW, TRICK],
            {"tier": "law"},
            8,
            None,
            id="naming options that are enforced elsewhere beats nothing that is enforced here",
        ),
        pytest.param(
            execution("cluster/trick"),
            [RULES, TRICK],
            {"tier": "rules"},
            0,
            None,
            id="nor do cluster options that were only named beat what the namespace enforces",
        ),
        pytest.param(
            execution("mine,cluster/trick"),
            [MINE, TRICK],
            {"tier": "trick"},
            0,
            None,
            id="where nothing is enforced the later name wins",
        ),
        pytest.param(
            execution("on", disable_notifications=True), [ON], {}, None, True, id="the annotation silences an execution"
        ),
        pytest.param(
            execution(plan_options="off", disable_notifications=False),
            [OFF],
            {},
            None,
            False,
            id="and lifts what the launch plan silences",
        ),
        pytest.param(
            execution("off,on"), [OFF, ON], {}, None, True, id="of two named together the one that silences holds"
        ),
        pytest.param(
            execution("off", disable_notifications=True),
            [OFF, LOUD],
            {},
            None,
            False,
            id="what is enforced is sent all the same",
        ),
    ],
)
def test_what_an_execution_gets(
    run: Execution, found: list[OptionsObject], labels: dict[str, str], parallelism: int | None, silent: bool | None
) -> None:
    author: Spec | None = None
    if "author" in labels:
        author = {"labels": {"tier": "own", "author": ""}, "maxParallelism": 3}
    effective = decide(run, found, author)
    assert {key: label.value for key, label in effective.labels.items()} == labels
    assert (effective.max_parallelism and effective.max_parallelism.value) == parallelism
    assert (effective.disable_notifications and effective.disable_notifications.value) == silent


def enforced_by_cluster(run: Execution, found: Iterable[OptionsObject]) -> Effective:
    """The result of the cluster's enforced options that select ``run`` alone."""
    return merge(layer for layer in select(run, found).layers if layer.source.level is Level.CLUSTER_ENFORCE)


@given(executions, candidates, specs)
def test_nothing_beats_what_the_cluster_enforces(
    run: Execution, found: list[OptionsObject], author: ExecutionOptionsSpec
) -> None:
    effective, law = decide(run, found, author), enforced_by_cluster(run, found)
    for field in ("labels", "annotations", "envs"):
        assert getattr(law, field).items() <= getattr(effective, field).items()
    for field in (
        "run_as",
        "output_location_prefix",
        "max_parallelism",
        "overwrite_cache",
        "disable_notifications",
        "notification_guarantee",
    ):
        if getattr(law, field) is not None:
            assert getattr(effective, field) == getattr(law, field)


@given(executions, candidates)
def test_what_the_cluster_enforces_depends_only_on_its_own_options_and_never_on_references(
    run: Execution, found: list[OptionsObject]
) -> None:
    of_cluster = [options for options in found if options.kind == CLUSTER_OPTIONS_KIND]
    assert enforced_by_cluster(run, found) == enforced_by_cluster(run, of_cluster)


@given(executions, candidates.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))), specs)
def test_the_order_of_candidates_changes_no_value_and_no_source(
    run: Execution, orders: tuple[list[OptionsObject], list[OptionsObject]], author: ExecutionOptionsSpec
) -> None:
    one, other = orders
    assert decide(run, one, author) == decide(run, other, author)
