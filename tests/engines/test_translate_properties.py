"""What translation never does, whatever the options and whatever the author wrote."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.authors import author_layer, notes
from execution_options.engines.ownmetadata import strip_forged
from execution_options.engines.patch import Patch
from execution_options.engines.places import metadata_places
from execution_options.engines.translate import environment, translate
from execution_options.options.levels import Level, prevails
from execution_options.options.merge import Effective, merge
from support.rfc6902 import apply
from support.strategies import label_maps, layer_stacks, mapping
from support.workloads import JOB, POD, job, pod

if TYPE_CHECKING:
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Layer

_env = st.lists(
    st.sampled_from(
        (
            {"name": "A", "value": "author's"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "A"},
            {"name": "C", "value": "$(A)"},
            {"name": "EXECUTION_RAW_OUTPUT_DATA_PREFIX", "value": "s3://author"},
        )
    ),
    max_size=4,
)
_containers = st.lists(
    st.fixed_dictionaries({"name": st.just("c"), "image": st.just("x")}, optional={"env": _env}), min_size=1, max_size=2
)
_spec = st.fixed_dictionaries(
    {"containers": _containers},
    optional={
        "initContainers": _containers,
        "serviceAccountName": st.sampled_from(("default", "mine", "trainer")),
        "imagePullSecrets": st.just([{"name": "pull"}]),
    },
)
_maps = {"labels": label_maps, "annotations": mapping(("note",), ("", "x"))}
_jobs = st.builds(
    lambda maps, template, spec: job(**maps, template=template, **spec),
    st.fixed_dictionaries({}, optional=_maps),
    st.none() | st.fixed_dictionaries({}, optional=_maps),
    _spec,
)
_pods = st.builds(lambda maps, spec: pod(**maps, **spec), st.fixed_dictionaries({}, optional=_maps), _spec)
# Shared parts of a generated document would be changed together, which a decoded one has none of.
_executions = st.one_of(st.tuples(st.just(JOB), _jobs), st.tuples(st.just(POD), _pods)).map(copy.deepcopy)
_layers = layer_stacks().map(lambda layers: [one for one in layers if one.source.level is not Level.AUTHOR])


def work(engine: Engine, document: dict[str, Any], effective: Effective) -> tuple[Patch, dict[str, str]]:
    patch = Patch(document)
    places = metadata_places(engine, document)
    return patch, translate(patch, places, engine, effective, identifier="0a", location="s3://own/")


@given(_executions, _layers)
def test_the_patch_is_what_was_done_and_doing_it_again_does_nothing(
    execution: tuple[Engine, dict[str, Any]], layers: list[Layer]
) -> None:
    engine, original = execution
    effective = merge(layers)
    patch, _ = work(engine, copy.deepcopy(original), effective)
    assert apply(original, patch.operations) == patch.document
    # Of a list, an index is another item's after each insertion.
    paths = [operation["path"] for operation in patch.operations if not operation["path"].rpartition("/")[2].isdigit()]
    assert len(paths) == len(set(paths))
    again, _ = work(engine, copy.deepcopy(patch.document), effective)
    assert again.operations == []


@given(_executions, _layers)
def test_nothing_of_the_author_is_removed_or_reordered(
    execution: tuple[Engine, dict[str, Any]], layers: list[Layer]
) -> None:
    engine, original = execution
    patch, _ = work(engine, copy.deepcopy(original), merge(layers))
    changed = patch.document
    for place, before in zip(metadata_places(engine, original), _metadata(engine, original), strict=True):
        after = _at(changed, place)
        for kind in ("labels", "annotations"):
            assert list((after or {}).get(kind, {}))[: len(before.get(kind, {}))] == list(before.get(kind, {}))
    for template in engine.templates(original):
        before, after = _at(original, (*template, "spec")), _at(changed, (*template, "spec"))
        for kind in ("initContainers", "containers"):
            assert [c["name"] for c in before.get(kind, [])] == [c["name"] for c in after.get(kind, [])]
            for old, new in zip(before.get(kind, []), after.get(kind, []), strict=True):
                names = [entry["name"] for entry in old.get("env", [])]
                every = [entry["name"] for entry in new.get("env", [])]
                fresh, others = every[: len(every) - len(names)], every[len(every) - len(names) :]
                assert others == names
                assert len(fresh) == len(set(fresh))
                assert not set(fresh) & set(names)


@given(_executions, _layers)
def test_every_value_is_the_one_that_prevails(execution: tuple[Engine, dict[str, Any]], layers: list[Layer]) -> None:
    engine, original = execution
    effective = merge(layers)
    changed = work(engine, copy.deepcopy(original), effective)[0].document
    for place in metadata_places(engine, original):
        for kind, wanted in (("labels", effective.labels), ("annotations", effective.annotations)):
            written = (_at(original, place) or {}).get(kind, {})
            expected = written | {k: v.value for k, v in wanted.items() if prevails(v, written.get(k))}
            there = {k: v for k, v in _at(changed, place).get(kind, {}).items() if k != "execution.dev/id"}
            assert there == expected
    envs = environment(effective, "s3://own/")
    for template in engine.templates(original):
        before, after = _at(original, (*template, "spec")), _at(changed, (*template, "spec"))
        for kind in ("initContainers", "containers"):
            for old, new in zip(before.get(kind, []), after.get(kind, []), strict=True):
                last = {entry["name"]: entry for entry in old.get("env", [])}
                for name, value in envs.items():
                    counts = {entry["name"]: entry for entry in new["env"]}[name]
                    if prevails(value, last.get(name)):
                        assert counts.get("value", "") == value.value
                        assert "valueFrom" not in counts
                    else:
                        assert counts == last[name]


@given(_executions)
def test_without_options_nothing_happens(execution: tuple[Engine, dict[str, Any]]) -> None:
    engine, original = execution
    patch = Patch(copy.deepcopy(original))
    strip_forged(patch, metadata_places(engine, patch.document))
    assert patch.operations == []
    assert patch.document == original


@given(_executions, _layers)
def test_the_authors_layer_and_the_notes_can_be_told_of_everything(
    execution: tuple[Engine, dict[str, Any]], layers: list[Layer]
) -> None:
    engine, original = execution
    effective = merge(layers)
    _, authored = work(engine, copy.deepcopy(original), effective)
    authors_layer = author_layer(authored, engine.kind, "x")
    assert authors_layer.source.level is Level.AUTHOR
    sentences = notes(authored, effective)
    assert len(sentences) == len(set(sentences)) <= len(authored)


def _metadata(engine: Engine, document: dict[str, Any]) -> list[dict[str, Any]]:
    return [_at(document, place) or {} for place in metadata_places(engine, document)]


def _at(document: Any, path: Any) -> Any:
    for part in path:
        document = document.get(part, {})
    return document
