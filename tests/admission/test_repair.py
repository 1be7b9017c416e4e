"""What can still be done for executions that were created past the webhook."""

from __future__ import annotations

import copy

from msgspec import structs

from execution_options.admission import edit
from execution_options.admission import repair as missed
from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.names import ID_LABEL, MISSED_ANNOTATION
from execution_options.controller.cache.optionsindex import written_at
from execution_options.engines.profile import Engine, builtin
from execution_options.status.executionevents import applied_note, missed_note
from support.jobs import CREATED, JOB, SITUATION, Document, apply, follow, job, meta, options, pod_of, repaired, shown
from support.options import cluster

POD: Engine = next(engine for engine in builtin() if engine.name == "pod")
BEFORE = "2026-01-02T03:04:04Z"


def test_a_repair_never_makes_annotations_larger_than_kubernetes_takes() -> None:
    applied = options({"selector": {}, "labels": {"a": "1"}})
    found = set()
    for left in range(0, 700, 3):
        document = copy.deepcopy(job({}))
        annotations = document["metadata"].setdefault("annotations", {})
        annotations.clear()
        annotations["large"] = "x" * (MAX_ANNOTATIONS - left - len("large"))
        repair = repaired(document, applied)
        assert repair is not None
        assert not repair.problem
        found.add(bool(repair.left_out))
        apply(document, repair.operations)
        assert annotations_size(document["metadata"]["annotations"]) <= MAX_ANNOTATIONS
    assert found == {True, False}


def test_a_missed_job_gets_what_can_still_be_set_and_its_pods_too() -> None:
    document = job({"a": "mine", ID_LABEL: "forged"})
    bare = pod_of(document)
    bare["metadata"]["labels"].pop(ID_LABEL)
    applied = options({"selector": {}, "labels": {"a": "1", "b": "1"}, "envs": [{"name": "K", "value": "v"}]})
    repair = repaired(document, applied)
    assert repair is not None
    apply(document, repair.operations)
    assert shown(document) == {"a": "mine", "b": "1"}
    assert document["metadata"]["labels"][ID_LABEL] == "id2"
    assert MISSED_ANNOTATION in document["metadata"]["annotations"]
    assert "env" not in document["spec"]["template"]["spec"]["containers"][0]
    follow(document, applied, bare)
    assert shown(bare) == {"a": "mine", "b": "1"}
    assert bare["metadata"]["labels"][ID_LABEL] == "id2"
    follow(document, structs.replace(applied, generation=2, spec=options({"labels": {"c": "1"}}).spec), bare)
    assert shown(bare) == {"a": "mine", "c": "1"}
    assert "environment variables K" in missed_note(edit.state(meta(document))).note


def test_the_event_of_a_missed_job_names_what_it_has() -> None:
    enforced = {"selector": {}, "mode": "Enforce", "labels": {"a": "ours"}, "envs": [{"name": "K", "value": "ours"}]}
    document = job({"a": "mine"})
    document["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "K", "value": "mine"}]
    repair = repaired(document, options(enforced))
    assert repair is not None
    apply(document, repair.operations)
    state = edit.state(meta(document))
    event = applied_note(state, repaired=True)
    assert event is not None
    assert event.note == "label a: ExecutionOptions o (namespace enforced) made it 'ours', its author wrote 'mine'"
    assert "environment variables K" in missed_note(state).note
    # What options do not say was not set either.
    document = job()
    repair = repaired(document, options({"selector": {}, "overwriteCache": True}))
    assert repair is not None
    apply(document, repair.operations)
    note = missed_note(edit.state(meta(document))).note
    assert "labels and annotations" not in note
    assert "was not: the cache overwrite" in note


def test_nothing_is_repaired_where_nothing_applies() -> None:
    assert repaired(job(), options({"labels": {"a": "1"}})) is None
    only_an_annotation = job(annotations={"execution.dev/disable-notifications": "true"})
    assert repaired(only_an_annotation, options({"labels": {"a": "1"}})) is None


def test_a_missed_job_that_admission_would_have_refused_is_reported() -> None:
    for text in ("absent", "none,x"):
        repair = repaired(job(annotations={"execution.dev/options": text}), options({"selector": {}}))
        assert repair is not None
        assert repair.problem
        assert not repair.operations


def test_only_options_with_their_present_spec_before_its_creation_count() -> None:
    selecting = options({"selector": {}})
    assert list(missed.existed(JOB, [(selecting, BEFORE)], SITUATION, CREATED)) == [selecting]
    assert not list(missed.existed(JOB, [(selecting, CREATED)], SITUATION, CREATED))
    opted_in_later = structs.replace(SITUATION, namespace_since=CREATED)
    assert list(missed.existed(JOB, [(selecting, BEFORE)], opted_in_later, CREATED))
    assert not list(missed.existed(POD, [(selecting, BEFORE)], opted_in_later, CREATED))
    somewhere = cluster("c", {"selector": {}, "namespaceSelector": {"matchLabels": {"a": "b"}}})
    assert not list(missed.existed(JOB, [(somewhere, BEFORE)], opted_in_later, CREATED))
    document = {
        "metadata": {
            "creationTimestamp": BEFORE,
            "managedFields": [{"time": CREATED}, {"time": "2027-01-01T00:00:00Z", "subresource": "status"}],
        }
    }
    assert written_at(document) == CREATED


def test_labels_of_later_are_no_reason() -> None:
    def entry(time: str, what: str) -> Document:
        return {"time": time, "fieldsV1": {"f:metadata": {what: {}}}}

    def changed(*entries: Document) -> bool:
        return missed.relabelled({"metadata": {"creationTimestamp": CREATED, "managedFields": list(entries)}})

    assert not changed()
    assert not changed(entry(CREATED, "f:labels"), entry("2026-01-02T03:09:00Z", "f:finalizers"))
    assert changed(entry("2026-01-02T03:09:00Z", "f:labels"))
