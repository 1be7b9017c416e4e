"""From the metadata of executions and pods to patches: against an API server of a few lines."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs

from execution_options.admission.decision import decide
from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.names import APPLIED_ANNOTATION, ID_LABEL, LIVE_ANNOTATION, MISSED_ANNOTATION
from execution_options.controller import live, missed
from execution_options.controller.announcements import applied_note, left_note, missed_note
from execution_options.controller.missed import Situation
from execution_options.controller.patching import metadata_patch
from execution_options.engines.facts import execution_of
from execution_options.engines.patch import parts
from execution_options.engines.profile import Engine, builtin
from execution_options.kube.meta import ObjectMeta
from execution_options.options.live import Left
from execution_options.options.snapshot import InvalidSnapshotError
from support.options import NAMESPACE, cluster, namespaced

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.patch import Operation

Document = dict[str, Any]
JOB: Engine = next(engine for engine in builtin() if engine.name == "job")
POD: Engine = next(engine for engine in builtin() if engine.name == "pod")
CREATED = "2026-01-02T03:04:05Z"
BEFORE = "2026-01-02T03:04:04Z"


class PatchRefusedError(Exception):
    """A ``test`` of a JSON Patch does not hold."""


def apply(document: Document, operations: list[Operation]) -> None:
    """RFC 6902, as far as it is used; nothing is changed where a test fails."""
    for operation in operations:
        *above, last = parts(operation["path"])
        parent: Any = document
        for part in above:
            parent = parent[part]
        match operation["op"]:
            case "test":
                if parent.get(last) != operation["value"]:
                    raise PatchRefusedError(operation["path"])
            case "remove":
                del parent[last]
            case "replace":
                assert last in parent
                parent[last] = operation["value"]
            case "add":
                parent[last] = operation["value"]


def meta(document: Document) -> ObjectMeta:
    return convert(document["metadata"], ObjectMeta)


def options(spec: Document, generation: int = 1, name: str = "o") -> OptionsObject:
    return structs.replace(namespaced(name, spec), uid=f"uid-{name}", generation=generation)


def job(labels: Document | None = None, *candidates: OptionsObject, annotations: Document | None = None) -> Document:
    """A Job, as admission leaves it."""
    document: Document = {
        "metadata": {
            "name": "j",
            "namespace": NAMESPACE,
            "uid": "job-uid",
            "resourceVersion": "5",
            "creationTimestamp": CREATED,
            "labels": dict(labels or {}),
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "template": {
                "metadata": {"labels": dict(labels or {})},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            }
        },
    }
    if candidates:
        decide(JOB, document, execution_of(JOB, meta(document), NAMESPACE, {}), candidates, "id1")
    return document


def pod_of(document: Document) -> Document:
    template = document["spec"]["template"]["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job-uid", "controller": True}
    return {
        "metadata": {
            "name": "j-1",
            "namespace": NAMESPACE,
            "uid": "pod-uid",
            "resourceVersion": "7",
            "labels": dict(template.get("labels", {})) | {"job-name": "j"},
            "ownerReferences": [owner],
        }
        | ({"annotations": dict(template["annotations"])} if "annotations" in template else {})
    }


def follow(document: Document, now: OptionsObject | None, pod: Document | None = None) -> list[str]:
    """Reconcile the execution and its pod; the keys that were left."""
    plan = live.execution_plan(meta(document), lambda *_: now)
    apply(document, plan.operations)
    assert not live.execution_plan(meta(document), lambda *_: now).operations
    if pod is not None:
        apply(pod, live.pod_plan(JOB, meta(document), meta(pod)).operations)
        assert not live.pod_plan(JOB, meta(document), meta(pod)).operations
    return [left.key for left in plan.left]


def shown(document: Document) -> Document:
    hidden = (ID_LABEL, "job-name")
    return {key: value for key, value in document["metadata"]["labels"].items() if key not in hidden}


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


def test_metadata_without_any_map_gets_one() -> None:
    bare = ObjectMeta(name="n", uid="u", resource_version="1")
    document: Document = {"metadata": {"uid": "u", "resourceVersion": "1"}}
    apply(document, metadata_patch(bare, {"labels": {"a/b": "1", "c": None}, "annotations": {"d": "2"}}))
    assert document["metadata"]["labels"] == {"a/b": "1"}
    assert document["metadata"]["annotations"] == {"d": "2"}
    assert metadata_patch(bare, {"labels": {"a": None}}) == []


def test_a_snapshot_that_cannot_be_read_is_an_error_of_its_own() -> None:
    with pytest.raises(InvalidSnapshotError):
        live.execution_plan(meta(job()), lambda *_: None)


SITUATION = Situation({}, "", {})


def repaired(document: Document, *candidates: OptionsObject) -> missed.Repair | None:
    return missed.repair(JOB, document, candidates, SITUATION, "2026-01-02T03:05:00+00:00", "id2")


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
    assert "environment variables K" in missed_note(live.state(meta(document))).note


def test_what_is_said_of_a_missed_job_is_what_it_has() -> None:
    enforced = {"selector": {}, "mode": "Enforce", "labels": {"a": "ours"}, "envs": [{"name": "K", "value": "ours"}]}
    document = job({"a": "mine"})
    document["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "K", "value": "mine"}]
    repair = repaired(document, options(enforced))
    assert repair is not None
    apply(document, repair.operations)
    state = live.state(meta(document))
    said = applied_note(state, repaired=True)
    assert said is not None
    assert said.note == "label a: ExecutionOptions o (namespace enforced) made it 'ours', its author wrote 'mine'"
    assert "environment variables K" in missed_note(state).note
    # What options do not say was not set either.
    document = job()
    repair = repaired(document, options({"selector": {}, "overwriteCache": True}))
    assert repair is not None
    apply(document, repair.operations)
    note = missed_note(live.state(meta(document))).note
    assert "labels and annotations" not in note
    assert "was not: the cache overwrite" in note


def test_nothing_is_repaired_where_nothing_applies() -> None:
    assert repaired(job(), options({"labels": {"a": "1"}})) is None
    only_an_annotation = job(annotations={"execution.dev/disable-notifications": "true"})
    assert repaired(only_an_annotation, options({"labels": {"a": "1"}})) is None


def test_what_admission_would_have_refused_is_said() -> None:
    for text in ("absent", "none,x"):
        repair = repaired(job(annotations={"execution.dev/options": text}), options({"selector": {}}))
        assert repair is not None
        assert repair.problem
        assert not repair.operations


def test_only_options_that_said_so_before_its_creation_count() -> None:
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
    assert missed.written_at(document) == CREATED


def test_labels_of_later_are_no_reason() -> None:
    def entry(time: str, what: str) -> Document:
        return {"time": time, "fieldsV1": {"f:metadata": {what: {}}}}

    def changed(*entries: Document) -> bool:
        return missed.relabelled({"metadata": {"creationTimestamp": CREATED, "managedFields": list(entries)}})

    assert not changed()
    assert not changed(entry(CREATED, "f:labels"), entry("2026-01-02T03:09:00Z", "f:finalizers"))
    assert changed(entry("2026-01-02T03:09:00Z", "f:labels"))


def test_what_is_said_names_keys_and_values() -> None:
    document = job({"a": "mine"}, options({"selector": {}, "labels": {"a": "ours"}}))
    said = applied_note(live.state(meta(document)))
    assert said is not None
    assert "stays 'mine'" in said.note
    assert applied_note(live.state(meta(job({}, options({"selector": {}, "labels": {"a": "1"}}))))) is None
    plan = live.execution_plan(meta(job({}, options({"selector": {}, "labels": {"a": "1"}}))), lambda *_: None)
    assert not plan.left
    document["metadata"]["labels"].pop("a")
    enforced = structs.replace(options({"selector": {}, "labels": {}}, 2))
    left = live.execution_plan(meta(document), lambda *_: enforced).left
    assert left == ()
    assert "absent" in left_note((Left("a", None, "1"),)).note
