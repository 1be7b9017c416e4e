"""Places at which an execution differs from its effective options, and why."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.authors import author_layer
from execution_options.engines.differences import (
    AUTHORS,
    CHANGED,
    FROZEN,
    GONE,
    OPTIONS,
    UNREPAIRED,
    Difference,
    absent,
    absent_notes,
    differences,
)
from execution_options.engines.patch import Patch
from execution_options.engines.places import metadata_places
from execution_options.engines.registry import builtin_engines
from execution_options.engines.translate import translate
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.merge import merge
from support.options import namespaced
from support.strategies import layer_stacks
from support.workloads import job

ENGINES = builtin_engines()
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "e2e" / "executions.yaml").read_text())
# By way of JSON: what YAML shares by an alias is not shared there.
EXECUTIONS = [(case["engine"], json.loads(json.dumps(case["manifest"]))) for case in CASES]
_layers = layer_stacks().map(lambda layers: [one for one in layers if one.source.level is not Level.AUTHOR])


def layer(spec: dict[str, Any], level: Level = Level.NAMESPACE_DEFAULT) -> Layer:
    return Layer(Source(level, "ExecutionOptions", "o"), namespaced("o", spec).spec)


def found(
    engine: str, document: dict[str, Any], authored: dict[str, str], frozen: list[Layer], **now: Any
) -> list[Difference]:
    layers = now.pop("edited", frozen)
    author = author_layer(authored, "Kind", "name")
    shown = merge(sorted((*layers, author), key=lambda one: one.source.level))
    return list(differences(ENGINES[engine], document, authored, merge(frozen), merge(layers), shown, **now))


def admitted(engine: str, manifest: dict[str, Any], layers: list[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    patch = Patch(copy.deepcopy(manifest))
    places = metadata_places(ENGINES[engine], patch.document)
    effective = merge(layers)
    authored = translate(patch, places, ENGINES[engine], effective, identifier="0a", location="s3://own/")
    return patch.document, authored


@given(st.sampled_from(EXECUTIONS), _layers)
def test_right_after_admission_every_difference_is_the_authors(
    execution: tuple[str, dict[str, Any]], layers: list[Layer]
) -> None:
    engine, manifest = execution
    document, authored = admitted(engine, manifest, layers)
    for one in found(engine, document, authored, layers):
        assert one.why in (AUTHORS, OPTIONS)
        assert (one.at in authored or f"env:{one.at}" in authored) is (one.why == AUTHORS)


def test_each_place_is_told_apart() -> None:
    engine, manifest = next(one for one in EXECUTIONS if one[0] == "jobset")
    manifest = copy.deepcopy(manifest)
    jobs = manifest["spec"]["replicatedJobs"]
    for number, one in enumerate(jobs):
        one["template"]["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})["team"] = f"t{number}"
    layers = [layer({"labels": {"team": "options"}, "envs": [{"name": "A", "value": "1"}]})]
    document, authored = admitted(engine, manifest, layers)
    where = "/spec/replicatedJobs/{}/template/spec/template/metadata/labels/team"
    assert found(engine, document, authored, layers) == [
        Difference("/metadata/labels/team", "options", OPTIONS),
        Difference(where.format(0), "t0", AUTHORS),
    ]


def test_what_happened_since_is_said() -> None:
    layers = [layer({"labels": {"a": "1", "b": "1"}, "envs": [{"name": "E", "value": "1"}]})]
    document, authored = admitted("job", job(), layers)
    edited = [layer({"labels": {"a": "2", "b": "1"}, "envs": [{"name": "E", "value": "1"}]})]
    document["metadata"]["labels"] |= {"a": "2", "b": "theirs"}
    document["spec"]["template"]["spec"]["containers"][0]["env"] = []
    assert found("job", document, authored, layers, edited=edited) == [
        Difference("/metadata/labels/b", "theirs", CHANGED),
        Difference("/spec/template/metadata/labels/a", "1", FROZEN),
        Difference("/spec/template/spec/containers/0/env/E", None, GONE),
    ]


def test_what_could_not_be_repaired_is_said() -> None:
    layers = [layer({"labels": {"a": "1"}, "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})]
    document = job(labels={"a": "1"})
    assert found("job", document, {}, layers, missed=True) == [
        Difference("/spec/template/metadata/labels/a", None, UNREPAIRED),
        Difference("/spec/template/spec/serviceAccountName", None, UNREPAIRED),
    ]


SOME = {
    "labels": {"a": "1"},
    "annotations": {"b": "1"},
    "envs": [{"name": "E", "value": "1"}],
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
    "rawOutputDataConfig": {"outputLocationPrefix": "s3://b/p"},
}


@given(st.sampled_from(EXECUTIONS), _layers)
def test_what_is_said_to_be_absent_stands_nowhere_in_the_execution(
    execution: tuple[str, dict[str, Any]], layers: list[Layer]
) -> None:
    engine, manifest = execution
    document, _ = admitted(engine, manifest, layers)
    effective = merge(layers)
    missing = absent(ENGINES[engine], document, effective)
    text = json.dumps(document)
    for name in effective.envs:
        assert (f"envs[{name}]" in missing) is (json.dumps(name) not in text)
    assert not any(field.startswith(("labels", "annotations")) for field in missing)


def test_a_path_that_leads_nowhere_leaves_values_absent() -> None:
    manifest = job()
    manifest["spec"]["tmplate"] = manifest["spec"].pop("template")
    document, _ = admitted("job", manifest, [layer(SOME)])
    missing = absent(ENGINES["job"], document, merge([layer(SOME)]))
    assert missing.keys() == {
        "securityContext.runAs.k8sServiceAccount",
        "envs[E]",
        "rawOutputDataConfig.outputLocationPrefix",
    }
    beginning = "envs[E]: is nowhere in this Job, in spite of ExecutionOptions o (namespace default): nothing is at "
    assert absent_notes(ENGINES["job"], document, merge([layer(SOME)]))[1] == f"{beginning}spec.template"
    assert absent_notes(ENGINES["job"], document, merge([layer(SOME)]), Level.LAUNCH_PLAN) == []
    right, _ = admitted("job", job(), [layer(SOME)])
    assert absent(ENGINES["job"], right, merge([layer(SOME)])) == {}


def test_what_an_engine_has_no_place_for_is_absent_without_a_path() -> None:
    engine, manifest = next(one for one in EXECUTIONS if one[0] == "flyte-taskaction")
    document, _ = admitted(engine, manifest, [layer(SOME)])
    assert absent(ENGINES[engine], document, merge([layer(SOME)])) == {"securityContext.runAs.k8sServiceAccount": ()}
