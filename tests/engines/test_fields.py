"""Options for which an engine has a field of its own: parallelism, its cache, its storage location, its variables."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from msgspec import structs

from execution_options.api.engine import ParallelismField
from execution_options.api.term import Term
from execution_options.engines import fields
from execution_options.engines.authors import author_layer, notes
from execution_options.engines.effects import effect_notes, unfollowed_notes
from execution_options.engines.patch import Patch
from execution_options.engines.registry import builtin_engines
from execution_options.engines.translate import translate
from execution_options.options.levels import Level
from execution_options.options.merge import Effective, merge
from support.options import layer
from support.rfc6902 import apply

ENGINES = builtin_engines()
_DYNAMIC = (Term(path="spec.dynamicAllocation.enabled", is_=("true",)),)
LIMITED = structs.replace(
    ENGINES["spark-application"],
    parallelism=(
        ParallelismField(path="spec.executor.instances"),
        ParallelismField(path="spec.dynamicAllocation.maxExecutors", absent_is_unlimited=True, when=_DYNAMIC),
        ParallelismField(path="spec.dynamicAllocation.initialExecutors", when=_DYNAMIC),
        ParallelismField(path="spec.dynamicAllocation.minExecutors", when=_DYNAMIC),
    ),
)
"""An engine with several limits, some of which hold only sometimes."""
BELOW, ABOVE = Level.NAMESPACE_DEFAULT, Level.EXECUTION
DEFAULTED = {"managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:template": {}}}}]}

Manifest = dict[str, Any]


def effective(level: Level, **spec: Any) -> Effective:
    return merge([layer(level, spec, "o")])


def given(engine: str, document: Manifest, options: Effective) -> tuple[Manifest, dict[str, str]]:
    """The execution with options, and what its author had written."""
    patch = Patch(copy.deepcopy(document))
    authored = translate(
        patch,
        [],
        LIMITED if engine == LIMITED.name else ENGINES[engine],
        options,
        identifier="0a",
        location="s3://b/own/",
    )
    assert apply(document, patch.operations) == patch.document
    return patch.document, authored


@pytest.mark.parametrize(
    ("engine", "before", "cap", "after"),
    [
        # The API server defaults it to 1, which is no higher than any cap.
        ("job", {"spec": {}}, 4, {}),
        ("job", {"spec": {"parallelism": 10}}, 4, {"parallelism": 4}),
        ("job", {"spec": {"parallelism": 3}}, 4, {"parallelism": 3}),
        ("job", {"spec": {"parallelism": 0}}, 4, {"parallelism": 0}),
        ("job", {"spec": {"parallelism": 10}}, 0, {"parallelism": 10}),
        ("job", {"spec": {"parallelism": 10, "completions": 10}}, 4, {"parallelism": 4, "completions": 10}),
        ("argo-workflow", {"spec": {}}, 4, {"parallelism": 4}),
        ("argo-workflow", {"spec": {}}, 0, {}),
        ("argo-workflow", {"spec": {"parallelism": 10}}, 4, {"parallelism": 4}),
        ("argo-workflow", {"spec": {"parallelism": 2}}, 4, {"parallelism": 2}),
        ("argo-workflow", {"spec": {"parallelism": 0}}, 4, {"parallelism": 0}),
        (LIMITED.name, {"spec": {"executor": {"instances": 9}}}, 4, {"executor": {"instances": 4}}),
        (LIMITED.name, {"spec": {"executor": {}}}, 4, {"executor": {}}),
        (
            LIMITED.name,
            {"spec": {"dynamicAllocation": {"enabled": False}}},
            4,
            {"dynamicAllocation": {"enabled": False}},
        ),
        (
            LIMITED.name,
            {"spec": {"dynamicAllocation": {"enabled": True}}},
            4,
            {"dynamicAllocation": {"enabled": True, "maxExecutors": 4}},
        ),
        (
            LIMITED.name,
            {
                "spec": {
                    "dynamicAllocation": {"enabled": True, "maxExecutors": 9, "minExecutors": 6, "initialExecutors": 2}
                }
            },
            4,
            {"dynamicAllocation": {"enabled": True, "maxExecutors": 4, "minExecutors": 4, "initialExecutors": 2}},
        ),
        ("jobset", {"spec": {}}, 4, {}),
    ],
)
def test_an_engines_own_limit_is_only_ever_lowered(engine: str, before: Manifest, cap: int, after: Manifest) -> None:
    changed, _ = given(engine, before, effective(ABOVE, maxParallelism=cap))
    assert changed["spec"] == after


@pytest.mark.parametrize(("now", "then"), [(None, 4), (0, 4), (25, 4), (2, 2)])
def test_flytes_0_is_no_limit(now: int | None, then: int) -> None:
    config = {} if now is None else {"MaxParallelism": now}
    changed, _ = given("flyte-workflow", {"executionConfig": config}, effective(ABOVE, maxParallelism=4))
    assert changed["executionConfig"]["MaxParallelism"] == then


def test_a_job_of_one_gang_is_not_capped() -> None:
    spec = {"completionMode": "Indexed", "parallelism": 8, "completions": 8}
    options = effective(Level.CLUSTER_ENFORCE, maxParallelism=4)
    changed, authored = given("job", {"spec": spec}, options)
    assert changed["spec"] == spec
    # One note reports that it stays; none may report that it was replaced.
    assert notes(authored, options) == []
    assert fields.gang_size(ENGINES["job"], {"spec": spec}, 4) == 8
    (note,) = effect_notes(options, ENGINES["job"], {"spec": spec})
    assert note.startswith("maxParallelism: stays 8 in spite of ")
    for other in ({**spec, "completions": 16}, {**spec, "completionMode": "NonIndexed"}):
        assert given("job", {"spec": other}, options)[0]["spec"]["parallelism"] == 4
        assert fields.gang_size(ENGINES["job"], {"spec": other}, 4) is None
    for cap in (0, 8, 9):
        assert fields.gang_size(ENGINES["job"], {"spec": spec}, cap) is None


def test_a_note_reports_that_an_edited_limit_does_not_reach_an_engines_own_field() -> None:
    frozen, now = effective(ABOVE, maxParallelism=2), effective(ABOVE, maxParallelism=4)
    document = {"spec": {"parallelism": 2}}
    (note,) = unfollowed_notes(ENGINES["job"], document, frozen, now)
    assert note == "maxParallelism: an edit reaches later executions only, this one keeps spec.parallelism=2"
    (first,) = unfollowed_notes(ENGINES["argo-workflow"], {"spec": {}}, effective(ABOVE), now)
    assert first.endswith("this one keeps no limit")
    assert list(unfollowed_notes(ENGINES["job"], document, frozen, frozen)) == []


def test_a_note_reports_that_a_first_limit_does_not_reach_an_execution_whose_pods_the_operator_holds_back() -> None:
    unlimited, limited, later = (effective(ABOVE, maxParallelism=cap) for cap in (0, 2, 4))
    run, task, gang = (ENGINES[name] for name in ("tekton-pipelinerun", "tekton-taskrun", "jobset"))
    for frozen in (effective(ABOVE), unlimited):
        (note,) = unfollowed_notes(run, {}, frozen, limited)
        assert note == "maxParallelism: an edit reaches later executions only, this one keeps no limit"
        # Executions of one pod keep every limit, and gangs none.
        assert list(unfollowed_notes(task, {}, frozen, limited)) == []
        assert list(unfollowed_notes(gang, {}, frozen, limited)) == []
    # Edits of a limit that it was created with do.
    for now in (effective(ABOVE), unlimited, later):
        assert list(unfollowed_notes(run, {}, limited, now)) == []
    assert list(unfollowed_notes(run, {}, unlimited, effective(ABOVE))) == []


def test_a_default_leaves_the_limit_that_the_author_wrote() -> None:
    options = effective(BELOW, maxParallelism=4)
    changed, authored = given("argo-workflow", {"spec": {"parallelism": 10}}, options)
    assert changed["spec"]["parallelism"] == 10
    assert author_layer(authored, "Workflow", "a").spec.max_parallelism == 10
    (note,) = notes(authored, options)
    stays = "parallelism: stays '10' as its author wrote it, in spite of maxParallelism 4 of ExecutionOptions o "
    assert note == stays + "(namespace default)"


def test_a_default_lowers_a_limit_that_nobody_wrote() -> None:
    defaulted = {"metadata": DEFAULTED, "spec": {"parallelism": 10}}
    changed, authored = given("job", defaulted, effective(BELOW, maxParallelism=4))
    assert changed["spec"]["parallelism"] == 4
    assert authored == {}


def test_limits_of_one_execution_stay_together() -> None:
    spec = {"executor": {"instances": 9}, "dynamicAllocation": {"enabled": True}}
    assert given(LIMITED.name, {"spec": spec}, effective(BELOW, maxParallelism=4))[0]["spec"] == spec
    changed, _ = given(LIMITED.name, {"spec": spec}, effective(ABOVE, maxParallelism=4))
    assert changed["spec"] == {"executor": {"instances": 4}, "dynamicAllocation": {"enabled": True, "maxExecutors": 4}}


def test_the_limit_that_replaced_the_authors_is_reported() -> None:
    options = effective(ABOVE, maxParallelism=4)
    _, authored = given("job", {"spec": {"parallelism": 10}}, options)
    (note,) = notes(authored, options)
    assert note.startswith("parallelism: maxParallelism 4 of ExecutionOptions o ")
    assert note.endswith(" replaces '10', which its author wrote")
    _, below = given("job", {"spec": {"parallelism": 3}}, options)
    assert notes(below, options) == []


def test_a_workflow_of_argo_misses_its_caches_but_fills_them() -> None:
    memoize = {"key": "k", "cache": {"configMap": {"name": "c"}}, "maxAge": "1h"}
    spec = {"templates": [{"name": "a"}, {"name": "b", "memoize": memoize}, {"name": "c", "memoize": {"key": "k"}}]}
    changed, authored = given("argo-workflow", {"spec": spec}, effective(BELOW, overwriteCache=True))
    first, second, third = changed["spec"]["templates"]
    assert first == {"name": "a"}
    assert second["memoize"] == {**memoize, "maxAge": "0s"}
    assert third["memoize"] == {"key": "k", "maxAge": "0s"}
    assert authored == {"overwriteCache:/spec/templates/1/memoize/maxAge": "1h"}
    same, _ = given("argo-workflow", {"spec": spec}, effective(ABOVE, overwriteCache=False))
    assert same["spec"] == spec


def test_a_workflow_of_flyte_overwrites_its_cache() -> None:
    document = {"executionConfig": {"OverwriteCache": False}}
    assert given("flyte-workflow", document, effective(BELOW, overwriteCache=True))[0]["executionConfig"] == {
        "OverwriteCache": True
    }
    # Flyte's own setting stays: it looks like one that nobody wrote.
    document = {"executionConfig": {"OverwriteCache": True}}
    assert given("flyte-workflow", document, effective(ABOVE, overwriteCache=False))[0] == document


PREFIX = {"rawOutputDataConfig": {"outputLocationPrefix": "s3://b"}}


def test_flyte_writes_its_raw_data_under_the_prefix() -> None:
    changed, _ = given("flyte-workflow", {}, effective(BELOW, **PREFIX))
    assert changed["rawOutputDataConfig"] == {"output_location_prefix": "s3://b/own/"}
    authored = {"rawOutputDataConfig": {"output_location_prefix": "s3://mine"}}
    assert (
        given("flyte-workflow", authored, effective(BELOW, **PREFIX))[0]["rawOutputDataConfig"]
        == authored["rawOutputDataConfig"]
    )
    assert given("flyte-workflow", authored, effective(ABOVE, **PREFIX))[0]["rawOutputDataConfig"] == {
        "output_location_prefix": "s3://b/own/"
    }


@pytest.mark.parametrize(
    ("engine", "outer", "inner"),
    [("flyte-workflow", "executionConfig", "EnvironmentVariables"), ("flyte-taskaction", "spec", "envVars")],
)
def test_each_variable_of_a_map_is_decided_by_itself(engine: str, outer: str, inner: str) -> None:
    document = {outer: {inner: {"A": "author's"}}}
    options = {"envs": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    below, authored = given(engine, document, effective(BELOW, **options))
    assert below[outer][inner] == {"A": "author's", "B": "2"}
    assert [(env.name, env.value) for env in author_layer(authored, "x", "a").spec.envs or ()] == [("A", "author's")]
    assert given(engine, document, effective(ABOVE, **options))[0][outer][inner] == {"A": "1", "B": "2"}
    assert len(notes(authored, effective(ABOVE, **options))) == 1


def test_the_older_field_of_flytes_account_is_its_authors() -> None:
    account = {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}}
    document = {"serviceAccountName": "mine"}
    below, authored = given("flyte-workflow", document, effective(BELOW, **account))
    assert "securityContext" not in below
    assert list(authored.values()) == ["mine"]
    above, _ = given("flyte-workflow", document, effective(ABOVE, **account))
    assert above["securityContext"] == {"run_as": {"k8s_service_account": "trainer"}}
    assert above["serviceAccountName"] == "trainer"
    fresh, _ = given("flyte-workflow", {}, effective(BELOW, **account))
    assert fresh["securityContext"] == {"run_as": {"k8s_service_account": "trainer"}}
    assert "serviceAccountName" not in fresh


def test_options_without_effect_on_an_engine_are_reported() -> None:
    account = {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}}
    options = effective(BELOW, overwriteCache=True, **account, envs=[{"name": "A", "value": "1"}])
    assert [note.split(":")[0] for note in effect_notes(options, ENGINES["job"], {})] == ["overwriteCache"]
    assert [note.split(":")[0] for note in effect_notes(options, ENGINES["flyte-taskaction"], {})] == [
        "securityContext",
        "overwriteCache",
    ]
    assert effect_notes(options, ENGINES["flyte-workflow"], {}) == []
    assert effect_notes(options, ENGINES["job"], {}, Level.EXECUTION) == []
    assert effect_notes(effective(ABOVE, overwriteCache=False), ENGINES["job"], {}) == []


@pytest.mark.parametrize(("policy", "ends"), [(None, False), ("Always", False), ("OnFailure", True), ("Never", True)])
def test_a_pod_that_is_started_again_whenever_it_exits_never_ends(policy: str | None, ends: bool) -> None:
    options = effective(ABOVE, notifications=[{"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}])
    spec = {} if policy is None else {"restartPolicy": policy}
    notes = effect_notes(options, ENGINES["pod"], {"spec": spec})
    assert [note.split(":")[0] for note in notes] == ([] if ends else ["notifications"])
    assert effect_notes(options, ENGINES["pod"], {"spec": spec}, Level.NAMESPACE_ENFORCE) == []
    assert effect_notes(options, ENGINES["job"], {"spec": spec}) == []
    assert effect_notes(effective(ABOVE, labels={"a": "b"}), ENGINES["pod"], {"spec": spec}) == []
