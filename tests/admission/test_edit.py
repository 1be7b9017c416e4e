"""Edits reach executions and their pods, by patches that hold only for what was read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.admission import edit as live
from execution_options.api.names import APPLIED_ANNOTATION, LIVE_ANNOTATION
from execution_options.engines.registry import builtin_engines
from execution_options.options.snapshot import InvalidSnapshotError
from support.jobs import (
    Document,
    PatchRefusedError,
    apply,
    follow,
    job,
    meta,
    options,
    pod_of,
    shown,
)

KEYS = st.sampled_from(("a", "b", "app.kubernetes.io/name"))
spec_maps: st.SearchStrategy[Document] = st.fixed_dictionaries(
    {"selector": st.just({})},
    optional={
        "labels": st.dictionaries(KEYS, st.sampled_from(("1", "2"))),
        "annotations": st.dictionaries(KEYS, st.sampled_from(("1", "2"))),
        "mode": st.sampled_from(("Default", "Enforce")),
    },
)


@given(st.dictionaries(KEYS, st.just("mine")), spec_maps, st.lists(spec_maps, max_size=4))
def test_a_job_and_its_pods_follow_to_what_a_new_job_would_get(
    labels: dict[str, str], first: Document, edits: list[Document]
) -> None:
    document = job(labels, options(first))
    old_pod = pod_of(document)
    last = first
    for generation, edit in enumerate(edits, start=2):
        # The level stays the one at which the execution was admitted.
        last = {key: value for key, value in edit.items() if key != "mode"} | {
            key: value for key, value in first.items() if key == "mode"
        }
        follow(document, options(last, generation), old_pod)
    new_pod = pod_of(document)
    follow(document, options(last, len(edits) + 1), new_pod)
    wanted = job(labels, options(last))
    ours = {LIVE_ANNOTATION, APPLIED_ANNOTATION, "execution.dev/snapshot"}
    for kind in ("labels", "annotations"):
        got = {k: v for k, v in document["metadata"][kind].items() if k not in ours}
        assert got == {k: v for k, v in wanted["metadata"][kind].items() if k not in ours}
        for pod in (old_pod, new_pod):
            got = {k: v for k, v in pod["metadata"].get(kind, {}).items() if k not in ours}
            assert got == {k: v for k, v in pod_of(wanted)["metadata"].get(kind, {}).items() if k not in ours}


def test_a_patch_changes_nothing_that_is_not_as_it_was_read() -> None:
    document = job({}, options({"selector": {}, "labels": {"a": "1"}}))
    plan = live.execution_plan(meta(document), lambda *_: options({"labels": {"a": "2"}}, 2))
    for change in ({"uid": "another"}, {"labels": {"a": "theirs"}}, {"resourceVersion": "6"}):
        changed = {"metadata": document["metadata"] | change}
        before = dict(changed["metadata"])
        with pytest.raises(PatchRefusedError):
            apply(changed, plan.operations)
        assert changed["metadata"] == before


def test_a_value_changed_by_others_is_left_and_named() -> None:
    document = job({}, options({"selector": {}, "labels": {"a": "1", "b": "1"}}))
    document["metadata"]["labels"]["a"] = "theirs"
    assert follow(document, options({"labels": {"a": "2", "b": "2"}}, 2)) == ["a"]
    assert shown(document) == {"a": "theirs", "b": "2"}


def test_a_snapshot_that_cannot_be_read_is_an_error_of_its_own() -> None:
    with pytest.raises(InvalidSnapshotError):
        live.execution_plan(meta(job()), lambda *_: None)


ENGINE = builtin_engines()["argo-workflow"]


@given(spec_maps, spec_maps, st.dictionaries(KEYS, st.sampled_from(("1", "2", "theirs"))))
def test_pods_that_others_have_a_say_in_follow_what_is_enforced_and_nothing_else(
    first: Document, second: Document, theirs: dict[str, str]
) -> None:
    # The level stays the one at which the execution was admitted.
    mode = {"mode": first["mode"]} if "mode" in first else {}
    last = {**{key: value for key, value in second.items() if key != "mode"}, **mode}
    document = job({}, options(first))
    pod: Document = {"metadata": {"name": "p", "uid": "p", "resourceVersion": "1", "labels": dict(theirs)}}
    enforced = mode == {"mode": "Enforce"}

    def corrected() -> tuple[set[str], set[str]]:
        """The enforced values that the pod lacks, and those that are restored; it is corrected then."""
        plan = live.pod_plan(ENGINE, meta(document), meta(pod))
        there = pod["metadata"]["labels"]
        now = live.state(meta(document)).now.labels
        lacking = {key for key, value in now.items() if there.get(key) != value.value} if enforced else set()
        if plan.operations:
            apply(pod, plan.operations)
        assert live.pod_plan(ENGINE, meta(document), meta(pod)).operations == []
        return lacking, {one.key for one in plan.restored}

    lacking, restored = corrected()
    assert lacking <= restored
    if not enforced:
        assert pod["metadata"]["labels"] == theirs
        assert restored == set()
    follow(document, options(last, 2))
    corrected()
    enforced_values = last.get("labels", {}) if enforced else {}
    wanted = {**theirs, **enforced_values}
    given_first = first.get("labels", {}) if enforced else {}
    assert pod["metadata"]["labels"] == {
        key: value for key, value in wanted.items() if key in enforced_values or key not in given_first
    }
