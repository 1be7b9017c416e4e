"""Metadata that win in an engine over those that pods get of options: what options replace is replaced there, too."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.admission.creation import decide
from execution_options.admission.update import restore
from execution_options.engines.differences import AUTHORS, differences
from execution_options.engines.places import metadata_places, prevailing_places
from execution_options.engines.registry import builtin_engines
from execution_options.options.merge import merge
from execution_options.options.snapshot import decode
from support.options import execution, namespaced
from support.rfc6902 import apply

ENGINES = builtin_engines()
ARGO, RAY = ENGINES["argo-workflow"], ENGINES["rayjob"]

Manifest = dict[str, Any]
KINDS = ("labels", "annotations")

SAID: Manifest = {"selector": {}, "labels": {"team": "ours"}, "annotations": {"example.com/owner": "ours"}}
ENFORCED: Manifest = {**SAID, "mode": "Enforce"}

_metadata = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(
            st.sampled_from(["team", "own", "execution.dev/id", "execution.dev/max-parallelism"]),
            st.sampled_from(["ours", "theirs"]),
        ),
        "annotations": st.dictionaries(st.sampled_from(["example.com/owner", "own"]), st.sampled_from(["a", "ours"])),
    },
)
_leaves = st.builds(lambda metadata: {"name": "leaf", "metadata": metadata, "container": {}}, _metadata)
_steps = st.builds(lambda metadata: {"name": "a", "inline": {"metadata": metadata, "container": {}}}, _metadata)
_templates = st.lists(
    st.one_of(
        _leaves,
        st.builds(lambda step: {"name": "steps", "steps": [[step]]}, _steps),
        st.builds(lambda task: {"name": "dag", "dag": {"tasks": [task]}}, _steps),
        st.just({"name": "bare"}),
    ),
    max_size=4,
)
workflows = st.builds(
    lambda templates, defaults: {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {"templates": templates, **({"templateDefaults": {"metadata": defaults}} if defaults else {})},
    },
    _templates,
    _metadata,
)


def decided(engine: Any, document: Manifest, spec: Manifest, reference: str | None = None) -> Manifest:
    changed = copy.deepcopy(document)
    decision = decide(engine, changed, execution(reference, engine=engine.name), [namespaced("o", spec)], "0a")
    assert apply(document, decision.operations) == changed
    return changed


def said(engine: Any, document: Manifest) -> list[tuple[str, str, str]]:
    """Every key that wins in the engine."""
    return [
        (kind, key, value)
        for place in prevailing_places(engine, document)
        for kind in KINDS
        for key, value in (at(document, place).get(kind) or {}).items()
    ]


def at(document: Any, place: Any) -> Any:
    for part in place:
        document = document[part]
    return document


@given(workflows, st.booleans())
def test_what_overrules_an_author_is_in_his_templates_and_defaults_are_not(document: Manifest, refers: bool) -> None:
    if refers:
        spec, reference = {name: value for name, value in SAID.items() if name != "selector"}, "o"
    else:
        spec, reference = ENFORCED, None
    changed = decided(ARGO, document, spec, reference)
    before, after = said(ARGO, document), said(ARGO, changed)
    wanted = {"team": "ours", "example.com/owner": "ours"}
    assert after == [
        (kind, key, wanted.get(key, value)) for kind, key, value in before if not key.startswith("execution.dev/")
    ]
    default = decided(ARGO, document, SAID)
    assert said(ARGO, default) == [one for one in before if not one[1].startswith("execution.dev/")]


@given(workflows, workflows)
def test_what_is_enforced_stays_in_templates_whoever_changes_them(document: Manifest, later: Manifest) -> None:
    stored = decided(ARGO, document, ENFORCED)
    changed = {**copy.deepcopy(stored), "spec": {**stored["spec"], **copy.deepcopy(later["spec"])}}
    before = copy.deepcopy(changed)
    assert apply(before, restore(ARGO, changed, stored, trusted=False)) == changed
    for _, key, value in said(ARGO, changed):
        if key in ("team", "example.com/owner"):
            assert value == "ours"
        assert not key.startswith("execution.dev/")


def test_what_an_engine_copies_into_templates_is_left_to_it() -> None:
    document: Manifest = {"metadata": {"name": "w"}, "spec": {"templates": [{"name": "main", "container": {}}]}}
    stored = decided(ARGO, document, ENFORCED)
    copied = copy.deepcopy(stored)
    copied["spec"]["templates"][0]["metadata"] = copy.deepcopy(stored["spec"]["podMetadata"])
    assert restore(ARGO, copied, stored, trusted=False) == []
    # But no copy of it has anything of the first run.
    del copied["metadata"]["labels"], copied["metadata"]["annotations"]
    again = decided(ARGO, copied, {"selector": {}, "labels": {"other": "1"}})
    assert "execution.dev/id" not in again["spec"]["templates"][0]["metadata"]["labels"]


@pytest.mark.parametrize(("spec", "wanted"), [(ENFORCED, "ours"), (SAID, "theirs")])
def test_labels_of_a_ray_group_count_before_those_of_its_template(spec: Manifest, wanted: str) -> None:
    group: Manifest = {"labels": {"team": "theirs", "own": "1"}, "template": {"spec": {"containers": []}}}
    document: Manifest = {
        "metadata": {"name": "r"},
        "spec": {"rayClusterSpec": {"headGroupSpec": copy.deepcopy(group), "workerGroupSpecs": [group]}},
    }
    cluster = decided(RAY, document, spec)["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert group["labels"] == {"team": wanted, "own": "1"}
        assert group["template"]["metadata"]["labels"] == {"team": "ours", "execution.dev/id": "0a"}


def test_many_templates_do_not_fill_the_snapshot_and_explain_names_each_that_differs() -> None:
    templates = [{"name": f"t{n}", "metadata": {"labels": {"team": f"team-{n}"}}, "container": {}} for n in range(600)]
    document: Manifest = {"metadata": {"name": "w"}, "spec": {"templates": templates}}
    changed = decided(ARGO, document, SAID)
    snapshot = decode(changed["metadata"]["annotations"]["execution.dev/snapshot"])
    assert snapshot.authored == {"/spec/templates/0/metadata/labels/team": "team-0"}
    now = merge(snapshot.layers)
    found = list(differences(ARGO, changed, snapshot.authored, now, now, now))
    assert [(one.value, one.why) for one in found] == [(f"team-{n}", AUTHORS) for n in range(600)]


def test_nothing_is_both_written_and_won_over() -> None:
    for engine in ENGINES.values():
        assert not set(engine.prevailing_metadata) & set(engine.pod_metadata)
    document: Manifest = {"metadata": {}, "spec": {"templates": [{"metadata": {}}]}}
    assert not set(metadata_places(ARGO, document)) & set(prevailing_places(ARGO, document))
