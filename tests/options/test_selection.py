"""Which options apply to an execution, on which level and in which order, and why the others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import (
    CLUSTER_OPTIONS_KIND,
    DISABLE_NOTIFICATIONS_ANNOTATION,
    INLINE_ANNOTATION,
    OPTIONS_KIND,
)
from execution_options.api.selector import Selector
from execution_options.options.levels import Level
from execution_options.options.reference import Reference, Target, parse
from execution_options.options.selection import Execution, LaunchPlan, Selection, first_failure, select
from support.options import cluster, execution, namespaced
from support.strategies import candidates, executions

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject

EVERYTHING: dict[str, Any] = {"selector": {}}
ENFORCED: dict[str, Any] = {"selector": {}, "mode": "Enforce"}


def applied(selection: Selection) -> list[tuple[str, Level]]:
    """Names and levels, lowest first."""
    return [(layer.source.name, layer.source.level) for layer in selection.layers]


def reason(selection: Selection, name: str) -> str:
    return next(rejected.reason for rejected in selection.rejected if rejected.options.name == name)


@given(executions, candidates.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_candidates_does_not_matter(
    run: Execution, orders: tuple[list[OptionsObject], list[OptionsObject]]
) -> None:
    one, other = orders
    assert select(run, one) == select(run, other)


@given(executions, candidates)
def test_every_candidate_is_either_applied_once_or_rejected_with_a_reason(
    run: Execution, found: list[OptionsObject]
) -> None:
    selection = select(run, found)
    decided = [
        (layer.source.kind, layer.source.name) for layer in selection.layers if layer.source.kind != "annotation"
    ]
    decided += [(rejected.options.kind, rejected.options.name) for rejected in selection.rejected]
    assert sorted(decided) == sorted((options.kind, options.name) for options in found)
    assert all(rejected.reason for rejected in selection.rejected)


@given(executions, candidates)
def test_layers_are_ordered_lowest_first(run: Execution, found: list[OptionsObject]) -> None:
    levels = [layer.source.level for layer in select(run, found).layers]
    assert levels == sorted(levels)


@given(executions, candidates)
def test_selected_enforced_options_apply_whatever_the_execution_says(
    run: Execution, found: list[OptionsObject]
) -> None:
    silent = Execution(
        engine=run.engine,
        namespace=run.namespace,
        namespace_labels=run.namespace_labels,
        name=run.name,
        generate_name=run.generate_name,
        labels=run.labels,
        launch_plan=run.launch_plan,
    )

    def enforced(selection: Selection) -> list[tuple[str, Level]]:
        return [(name, level) for name, level in applied(selection) if level >= Level.NAMESPACE_ENFORCE]

    assert enforced(select(run, found)) == enforced(select(silent, found))


@given(executions, candidates)
def test_a_reference_is_either_applied_or_reported_missing(run: Execution, found: list[OptionsObject]) -> None:
    selection = select(run, found)
    here = {Target(layer.source.kind, layer.source.name) for layer in selection.layers}
    targets = () if run.reference is None else run.reference.targets
    for target in targets:
        assert (target in here) != (target in selection.missing)


@given(executions, candidates)
def test_after_opting_out_only_enforced_options_and_the_execution_itself_apply(
    run: Execution, found: list[OptionsObject]
) -> None:
    declining = Execution(
        engine=run.engine,
        namespace=run.namespace,
        namespace_labels=run.namespace_labels,
        name=run.name,
        labels=run.labels,
        launch_plan=run.launch_plan,
        reference=Reference(opt_out=True),
        disable_notifications=run.disable_notifications,
    )
    selection = select(declining, found)
    assert not selection.missing
    assert all(
        level >= Level.NAMESPACE_ENFORCE or name == DISABLE_NOTIFICATIONS_ANNOTATION
        for name, level in applied(selection)
    )


def test_options_without_a_selector_apply_only_where_they_are_named() -> None:
    nightly = namespaced("nightly")
    unnamed = select(execution(), [nightly])
    assert applied(unnamed) == []
    assert reason(unnamed, "nightly") == "it has no selector, and nothing refers to it"
    assert applied(select(execution("nightly"), [nightly])) == [("nightly", Level.EXECUTION)]
    assert applied(select(execution(plan_options="nightly"), [nightly])) == [("nightly", Level.LAUNCH_PLAN)]


def test_an_empty_selector_selects_every_execution() -> None:
    found = [namespaced("n", EVERYTHING), cluster("c", EVERYTHING)]
    assert applied(select(execution(), found)) == [("c", Level.CLUSTER_DEFAULT), ("n", Level.NAMESPACE_DEFAULT)]


def test_a_reference_needs_no_selector_that_matches() -> None:
    elsewhere = namespaced("nightly", {"selector": {"engines": ["ray-job"]}})
    assert applied(select(execution("nightly"), [elsewhere])) == [("nightly", Level.EXECUTION)]


def test_selected_and_named_options_apply_once_where_they_are_named() -> None:
    assert applied(select(execution("a"), [namespaced("a", EVERYTHING)])) == [("a", Level.EXECUTION)]
    both = execution("a", plan_options="a")
    assert applied(select(both, [namespaced("a")])) == [("a", Level.EXECUTION)]


def test_a_later_name_of_a_reference_is_higher_whatever_the_priorities() -> None:
    found = [namespaced("a", {"priority": 9}), namespaced("b"), cluster("c", {"priority": 5})]
    assert [name for name, _ in applied(select(execution("a,cluster/c,b"), found))] == ["a", "c", "b"]


def test_among_defaults_a_higher_priority_wins_and_then_the_last_name() -> None:
    found = [
        namespaced("z", {"selector": {}, "priority": -1}),
        namespaced("b", EVERYTHING),
        namespaced("a", {"selector": {}, "priority": 0}),
        namespaced("0", {"selector": {}, "priority": 7}),
    ]
    assert [name for name, _ in applied(select(execution(), found))] == ["z", "a", "b", "0"]


def test_a_namespace_default_is_above_a_cluster_default_of_any_priority() -> None:
    found = [cluster("c", {"selector": {}, "priority": 1000}), namespaced("n", {"selector": {}, "priority": -1000})]
    assert [name for name, _ in applied(select(execution(), found))] == ["c", "n"]


def test_a_reference_reaches_cluster_options_only_where_their_namespaces_are_selected() -> None:
    gold = cluster("gold", {"namespaceSelector": {"matchLabels": {"tier": "gold"}}})
    outside = select(execution("cluster/gold"), [gold])
    assert applied(outside) == []
    assert outside.missing == (Target(CLUSTER_OPTIONS_KIND, "gold"),)
    assert reason(outside, "gold") == "namespaceSelector.matchLabels: tier is absent, not 'gold'"
    inside = select(execution("cluster/gold", namespace_labels={"tier": "gold"}), [gold])
    assert applied(inside) == [("gold", Level.EXECUTION)]
    assert inside.missing == ()


def test_names_of_the_two_kinds_are_not_mixed_up() -> None:
    assert select(execution("a"), [cluster("a")]).missing == (Target(OPTIONS_KIND, "a"),)
    assert select(execution("cluster/a"), [namespaced("a")]).missing == (Target(CLUSTER_OPTIONS_KIND, "a"),)


def test_an_opt_out_of_the_execution_also_declines_what_its_launch_plan_passes_on() -> None:
    selection = select(execution("none", plan_options="nightly,absent"), [namespaced("nightly")])
    assert applied(selection) == []
    assert selection.missing == ()
    assert reason(selection, "nightly") == "the execution opted out of all options that are not enforced"


def test_an_opt_out_of_the_launch_plan_keeps_what_the_execution_itself_names() -> None:
    found = [namespaced("default", EVERYTHING), namespaced("nightly")]
    assert applied(select(execution("nightly", plan_options="none"), found)) == [("nightly", Level.EXECUTION)]


def test_enforced_options_stay_enforced_when_they_are_also_named() -> None:
    found = [namespaced("n", ENFORCED), cluster("c", ENFORCED)]
    wanted = [("n", Level.NAMESPACE_ENFORCE), ("c", Level.CLUSTER_ENFORCE)]
    assert applied(select(execution("cluster/c,n"), found)) == wanted


def test_naming_options_that_are_enforced_elsewhere_does_not_enforce_them_here() -> None:
    """Otherwise an author could beat one enforced value by naming another of a higher priority."""
    other_team = {"selector": {"names": ["other-*"]}, "mode": "Enforce", "priority": 100}
    found = [cluster("ours", ENFORCED), cluster("theirs", other_team)]
    selection = select(execution("cluster/theirs"), found)
    assert applied(selection) == [("theirs", Level.EXECUTION), ("ours", Level.CLUSTER_ENFORCE)]


def test_the_annotation_that_disables_notifications_is_above_references_and_below_enforced_options() -> None:
    found = [namespaced("a"), namespaced("n", ENFORCED)]
    assert applied(select(execution("a", disable_notifications=True), found)) == [
        ("a", Level.EXECUTION),
        (DISABLE_NOTIFICATIONS_ANNOTATION, Level.EXECUTION),
        ("n", Level.NAMESPACE_ENFORCE),
    ]


@pytest.mark.parametrize(
    ("selector", "run", "failure"),
    [
        pytest.param({"engines": []}, execution(), None, id="an empty list of engines restricts nothing"),
        pytest.param({"names": []}, execution(), None, id="an empty list of names restricts nothing"),
        pytest.param({"engines": ["job", "ray-job"]}, execution(), None, id="one engine of several"),
        pytest.param(
            {"engines": ["ray-job", "spark"]}, execution(), "engines: 'job' is none of ray-job, spark", id="no engine"
        ),
        pytest.param({"names": ["eval", "train-*"]}, execution(), None, id="one pattern of several"),
        pytest.param(
            {"names": ["eval", "tr?in"]}, execution(), "names: 'train-1' matches none of eval, tr?in", id="no pattern"
        ),
        pytest.param(
            {"names": ["train-*"]}, execution(name="", generate_name="train-"), None, id="generateName without a name"
        ),
        pytest.param(
            {"names": ["train-*"]},
            execution(name="eval", generate_name="train-"),
            "names: 'eval' matches none of train-*",
            id="a name hides generateName",
        ),
        pytest.param(
            {"launchedBy": {"kind": "CronJob", "name": "night*"}}, execution(started_by="nightly"), None, id="launched"
        ),
        pytest.param(
            {"launchedBy": {"kind": "CronJob", "name": "nightly"}},
            execution(),
            "launchedBy: it was not started by a CronJob",
            id="not launched",
        ),
        pytest.param(
            {"launchedBy": {"kind": "CronWorkflow", "name": "nightly"}},
            execution(started_by="nightly"),
            "launchedBy: it was started by CronJob nightly, not CronWorkflow nightly",
            id="launched by another kind",
        ),
        pytest.param(
            {"launchedBy": {"kind": "CronJob", "name": "weekly"}},
            execution(started_by="nightly"),
            "launchedBy: it was started by CronJob nightly, not CronJob weekly",
            id="launched by another name",
        ),
        pytest.param(
            {"engines": ["job"], "names": ["train-*"], "matchLabels": {"tier": "gold"}},
            execution(labels={"tier": "tin"}),
            "matchLabels: tier is 'tin', not 'gold'",
            id="every term must match",
        ),
    ],
)
def test_the_first_failed_term_is_named(selector: dict[str, Any], run: Execution, failure: str | None) -> None:
    assert first_failure(convert(selector, Selector), run) == failure


def test_inline_options_prevail_over_what_is_referred_to_and_not_over_what_is_enforced() -> None:
    plan = LaunchPlan("CronJob", "nightly", parse("a"), inline=ExecutionOptionsSpec(max_parallelism=1))
    run = execution("b,c", inline=ExecutionOptionsSpec(max_parallelism=2), disable_notifications=True)
    run = structs.replace(run, launch_plan=plan)
    found = [*(namespaced(name) for name in "abc"), namespaced("d", EVERYTHING), namespaced("e", ENFORCED)]
    assert applied(select(run, found)) == [
        ("d", Level.NAMESPACE_DEFAULT),
        ("a", Level.LAUNCH_PLAN),
        (INLINE_ANNOTATION, Level.LAUNCH_PLAN),
        ("b", Level.EXECUTION),
        ("c", Level.EXECUTION),
        (INLINE_ANNOTATION, Level.EXECUTION),
        (DISABLE_NOTIFICATIONS_ANNOTATION, Level.EXECUTION),
        ("e", Level.NAMESPACE_ENFORCE),
    ]


def test_an_execution_that_opts_out_keeps_its_own_inline_options_alone() -> None:
    plan = LaunchPlan("CronJob", "nightly", inline=ExecutionOptionsSpec(max_parallelism=1))
    run = structs.replace(execution("none", inline=ExecutionOptionsSpec(max_parallelism=2)), launch_plan=plan)
    assert applied(select(run, [namespaced("d", EVERYTHING)])) == [(INLINE_ANNOTATION, Level.EXECUTION)]
