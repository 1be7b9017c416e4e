"""What an execution becomes when it is created, or why it is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.admission.creation import Decision, decide
from execution_options.admission.refusal import RefusedError
from execution_options.api.annotations import MAX_ANNOTATIONS, annotations_size
from execution_options.api.meta import ObjectMeta
from execution_options.engines.facts import execution_of, launch_plan
from execution_options.engines.places import metadata_places
from execution_options.options.levels import Level
from execution_options.options.snapshot import SnapshotTooLargeError, decode
from support.options import NAMESPACE, cluster, namespaced
from support.rfc6902 import apply
from support.workloads import JOB, POD, controlled_by, job, pod

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject

ALL: dict[str, Any] = {"selector": {}}


def decided(
    document: dict[str, Any], *options: OptionsObject, labels: dict[str, str] | None = None, plan: str | None = None
) -> tuple[Decision, dict[str, Any]]:
    """The decision, and the document as the API server makes it."""
    engine = POD if document["kind"] == "Pod" else JOB
    metadata = msgspec.convert(document["metadata"], ObjectMeta)
    started_by = launch_plan(JOB, metadata, {} if plan is None else {"execution.dev/options": plan})
    execution = execution_of(engine, metadata, NAMESPACE, labels or {}, started_by)
    decision = decide(engine, copy.deepcopy(document), execution, options, "0a")
    return decision, apply(document, decision.operations)


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(RefusedError) as refused:
        decided(*arguments, **named)
    return str(refused.value)


def snapshot_of(document: dict[str, Any]) -> Any:
    return decode(document["metadata"]["annotations"]["execution.dev/snapshot"])


def test_an_execution_without_options_stays_as_it_is() -> None:
    decision, after = decided(job(), namespaced("a", {"selector": {"names": ["other"]}, "labels": {"a": "1"}}))
    assert decision.operations == []
    assert after == job()


def test_opting_out_stays_as_it_is() -> None:
    decision, _ = decided(job(options="none"), namespaced("a", {**ALL, "labels": {"a": "1"}}))
    assert decision.operations == []


def test_the_snapshot_holds_every_layer_and_what_the_author_wrote() -> None:
    document = job("train-", labels={"a": "author"}, options="own")
    spec = {"labels": {"a": "1"}, "rawOutputDataConfig": {"outputLocationPrefix": "s3://b"}}
    decision, after = decided(document, cluster("low", {**ALL, "labels": {"a": "0"}}), namespaced("own", spec))
    snapshot = snapshot_of(after)
    assert snapshot.id == "0a" == after["metadata"]["labels"]["execution.dev/id"]
    assert [(one.source.level, one.source.name) for one in snapshot.layers] == [
        (Level.CLUSTER_DEFAULT, "low"),
        (Level.EXECUTION, "own"),
    ]
    assert snapshot.location == f"s3://b/{NAMESPACE}/train-0a/"
    assert snapshot.authored == {"/metadata/labels/a": "author"}
    assert after["metadata"]["labels"]["a"] == "1"
    assert decision.notes == [
        "label a: ExecutionOptions own (referenced by the execution) made it '1', its author wrote 'author'"
    ]


@given(
    st.sampled_from(("default", "reference", "enforced")),
    st.sampled_from(("metadata", "template", "pod")),
    st.integers(-40_000, 50) | st.integers(-1200, 50),
    st.text(st.sampled_from('a"é<'), max_size=500),
)
def test_annotations_never_become_larger_than_kubernetes_takes(how: str, where: str, distance: int, text: str) -> None:
    large = {"large": "x" * (MAX_ANNOTATIONS + distance - len("large"))}
    named = "o" if how == "reference" else None
    if where == "template":
        document = job(template={"annotations": large}, options=named)
    else:
        document = (pod if where == "pod" else job)(annotations=large, options=named)
    selecting = {} if how == "reference" else ALL | ({"mode": "Enforce"} if how == "enforced" else {})
    options = namespaced("o", {**selecting, "annotations": {"note": text}})
    places = metadata_places(POD if where == "pod" else JOB, document)

    def sizes(of: dict[str, Any]) -> list[int]:
        found = [of["metadata"], *([of["spec"]["template"].get("metadata", {})] if of["kind"] == "Job" else [])]
        return [annotations_size(one.get("annotations")) for one in found]

    try:
        decision, after = decided(document, options)
    except RefusedError as refused:
        message = str(refused)
    else:
        message = ""
    if message:
        assert how != "default"
        assert f"Kubernetes takes at most {MAX_ANNOTATIONS}; it must not be without ExecutionOptions o" in message
        assert distance > -1200 - 6 * len(text.encode())
        return
    assert len(sizes(after)) == len(places)
    if decision.left_out:
        assert how == "default"
        assert after == document
        assert decision.notes == [f"it gets no options: {decision.left_out}"]
        assert distance > -1200 - 6 * len(text.encode())
    else:
        assert max(sizes(after)) <= MAX_ANNOTATIONS
        assert snapshot_of(after).layers


def test_an_execution_is_held_from_its_creation_where_its_notifications_are_guaranteed() -> None:
    options = namespaced("a", {**ALL, "notificationGuarantee": "Held"})
    assert decided(job(), options)[1]["metadata"]["finalizers"] == ["execution.dev/notifications"]
    kept = job()
    kept["metadata"]["finalizers"] = ["example.com/mine", "execution.dev/notifications"]
    assert decided(kept, options)[1]["metadata"]["finalizers"] == kept["metadata"]["finalizers"]
    observed = namespaced("b", {**ALL, "notificationGuarantee": "Observed"})
    assert "finalizers" not in decided(job(), observed)[1]["metadata"]


def test_a_pod_that_claims_a_controller_is_never_held_because_nobody_follows_its_end() -> None:
    options = namespaced("a", {**ALL, "notificationGuarantee": "Held"})
    claiming = controlled_by(pod(), "argoproj.io/v1alpha1", "Workflow", "mine")
    assert "finalizers" not in decided(claiming, options)[1]["metadata"]
    assert "finalizers" in decided(pod(), options)[1]["metadata"]


def test_forged_metadata_is_never_taken_from_the_request() -> None:
    forged = {"execution.dev/id": "forged", "execution.dev/snapshot": "forged", "execution.dev/missed": "forged"}
    document = job(labels=forged, annotations=forged, template={"labels": forged, "annotations": forged})
    _, bare = decided(document)
    for place in metadata_places(JOB, bare):
        assert "forged" not in str(bare["metadata"] if place == ("metadata",) else bare["spec"]["template"])
    _, with_options = decided(document, namespaced("a", {**ALL, "labels": {"a": "1"}}))
    assert "forged" not in str(with_options)
    assert snapshot_of(with_options).id == "0a"


def test_what_is_forged_selects_nothing_that_is_enforced_away() -> None:
    enforced = cluster("cost", {**ALL, "mode": "Enforce", "labels": {"cost": "platform"}})
    for document in (job(options="none"), job(options="mine"), job(labels={"cost": "me"}), pod(labels={"cost": "me"})):
        _, after = decided(document, enforced, namespaced("mine", {"labels": {"cost": "me"}}))
        assert after["metadata"]["labels"]["cost"] == "platform"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "namespace team-a has none, the cluster has none"),
        (
            (namespaced("b"), namespaced("a"), cluster("c")),
            "namespace team-a has a, b, the cluster has cluster/c",
        ),
        (
            tuple(namespaced(f"o{n:02}") for n in range(12)),
            "namespace team-a has o00, o01, o02, o03, o04, o05, o06, o07, o08, o09 and 2 more, the cluster has none",
        ),
    ],
)
def test_a_reference_to_nothing_is_told_what_there_is(options: tuple[OptionsObject, ...], expected: str) -> None:
    assert refusal(job(options="nope"), *options) == (
        f"execution.dev/options refers to ExecutionOptions 'nope', which does not exist; {expected}"
    )


def test_only_options_that_could_be_referred_to_are_listed() -> None:
    elsewhere = cluster("gpu", {"namespaceSelector": {"matchLabels": {"tier": "prod"}}})
    assert refusal(job(options="nope"), elsewhere, cluster("all")).endswith(
        "namespace team-a has none, the cluster has cluster/all"
    )


def test_every_missing_one_is_named_and_the_launch_plan_that_may_have_named_it() -> None:
    started = controlled_by(job(), "batch/v1", "CronJob", "nightly")
    message = refusal(started, namespaced("there"), plan="nope,there,cluster/gone")
    assert message.startswith(
        "execution.dev/options (perhaps on CronJob nightly) refers to ExecutionOptions 'nope', "
        "ClusterExecutionOptions 'gone', which does not exist"
    )


def test_options_out_of_reach_say_why() -> None:
    elsewhere = cluster("gpu", {"namespaceSelector": {"matchLabels": {"tier": "prod"}}})
    message = refusal(job(options="cluster/gpu"), elsewhere, labels={"tier": "dev"})
    assert message.startswith(
        "execution.dev/options refers to options that cannot be used here: gpu: namespaceSelector."
    )
    assert "tier" in message


def test_options_that_are_too_large_together_are_refused_and_the_largest_named() -> None:
    big = {f"k{n}": "v" * 4000 for n in range(2)}
    options = [namespaced(f"o{n}", {**ALL, "annotations": {f"{n}{k}": v for k, v in big.items()}}) for n in range(3)]
    with pytest.raises(SnapshotTooLargeError, match=r"take \d+ bytes together, at most 16384 fit; the largest is"):
        decided(job(), *options)


@pytest.mark.parametrize(
    ("document", "note"),
    [
        (
            job(annotations={"execution.dev/option": "nightly"}),
            "annotation execution.dev/option is unknown and was removed: write the annotation execution.dev/options",
        ),
        (
            job(labels={"execution.dev/options": "nightly"}),
            "label execution.dev/options has no effect and was removed: write it as an annotation",
        ),
        (
            job(annotations={"execution.dev/disable-notification": "true"}),
            (
                "annotation execution.dev/disable-notification is unknown and was removed: write the annotation "
                "execution.dev/disable-notifications"
            ),
        ),
    ],
)
def test_a_misspelt_annotation_is_told_from_a_forged_one(document: dict[str, Any], note: str) -> None:
    for options in ([], [namespaced("a", {**ALL, "labels": {"a": "1"}})]):
        decision, after = decided(document, *options)
        assert note in decision.notes
        assert "nightly" not in str(after["metadata"].get("annotations", {}))
    forged = {"execution.dev/id": "0", "execution.dev/snapshot": "x", "execution.dev/notified": "x"}
    assert decided(job(annotations=forged))[0].notes == []


def test_an_account_that_its_author_overrides_need_not_exist() -> None:
    trainer = namespaced("o", {**ALL, "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})
    decision, after = decided(job(serviceAccountName="mine"), trainer)
    assert after["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    assert decision.account == ""


@pytest.mark.parametrize("account", [None, ""])
def test_no_account_needs_to_exist(account: str | None) -> None:
    spec = {"iamRole": "arn:aws:iam::1:role/a"} if account is None else {"k8sServiceAccount": account}
    decision, _ = decided(job(), namespaced("o", {**ALL, "securityContext": {"runAs": spec}}))
    assert decision.account == ""


def test_silencing_one_execution_is_kept_in_its_snapshot() -> None:
    document = job(annotations={"execution.dev/disable-notifications": "true"})
    _, after = decided(document)
    (only,) = snapshot_of(after).layers
    assert only.spec.disable_notifications is True


def test_a_pod_is_its_own_template() -> None:
    _, after = decided(pod(), namespaced("a", {**ALL, "labels": {"a": "1"}, "envs": [{"name": "E", "value": "1"}]}))
    assert after["metadata"]["labels"] == {"a": "1", "execution.dev/id": "0a"}
    assert after["spec"]["containers"][0]["env"] == [{"name": "E", "value": "1"}]


def copy_of(document: dict[str, Any]) -> dict[str, Any]:
    """What a client sends that creates an execution again from what it read."""
    copied = copy.deepcopy(document)
    copied["metadata"]["name"] = "again"
    return copied


def test_labels_that_options_gave_have_no_other_options_select_the_copy() -> None:
    _, first = decided(job(), namespaced("a", {"selector": {"names": ["train*"]}, "labels": {"tier": "gold"}}))
    assert first["metadata"]["labels"]["tier"] == "gold"
    gold = namespaced("gold", {"selector": {"matchLabels": {"tier": "gold"}}, "labels": {"by": "gold"}})
    decision, second = decided(copy_of(first), gold)
    assert not decision.selection.layers
    assert "by" not in second["metadata"].get("labels", {})


def test_our_finalizer_is_not_copied() -> None:
    held = {**ALL, "notificationGuarantee": "Held", "labels": {"a": "1"}}
    _, first = decided(job(), namespaced("a", held))
    assert first["metadata"]["finalizers"] == ["execution.dev/notifications"]
    _, second = decided(copy_of(first))
    assert "finalizers" not in second["metadata"]
    first["metadata"]["finalizers"].append("example.com/other")
    _, third = decided(copy_of(first))
    assert third["metadata"]["finalizers"] == ["example.com/other"]
    _, fourth = decided(copy_of(first), namespaced("a", held))
    assert fourth["metadata"]["finalizers"] == ["example.com/other", "execution.dev/notifications"]
