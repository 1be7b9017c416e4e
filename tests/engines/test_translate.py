"""Options become an execution's own fields, and its author's values stay where they take precedence."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from execution_options.engines.ownmetadata import strip_forged
from execution_options.engines.patch import Patch
from execution_options.engines.places import metadata_places
from execution_options.engines.translate import MAX_ADDED, PatchTooLargeError, output_location, translate
from execution_options.options.levels import Level
from execution_options.options.merge import merge
from support.options import layer
from support.rfc6902 import apply
from support.workloads import JOB, POD, controlled_by, job, pod

BELOW, ABOVE = Level.NAMESPACE_DEFAULT, Level.EXECUTION
MANAGED = {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:containers": {}}}}


def translated(document: dict[str, Any], level: Level, **spec: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The document with one layer's options, by way of the patch, and what its author had written."""
    engine = POD if document["kind"] == "Pod" else JOB
    patch = Patch(copy.deepcopy(document))
    places = metadata_places(engine, patch.document)
    authored = translate(patch, places, engine, merge([layer(level, spec)]), identifier="0a", location="s3://b/own/")
    assert apply(document, patch.operations) == patch.document
    return patch.document, authored


def account(name: str) -> dict[str, Any]:
    return {"runAs": {"k8sServiceAccount": name}}


def test_labels_and_annotations_reach_the_execution_and_its_pods() -> None:
    changed, authored = translated(job(), BELOW, labels={"a": "1"}, annotations={"b": "2"})
    for metadata in (changed["metadata"], changed["spec"]["template"]["metadata"]):
        assert metadata["labels"] == {"a": "1", "execution.dev/id": "0a"}
        assert metadata["annotations"] == {"b": "2"}
    assert authored == {}


def test_each_place_is_decided_by_itself() -> None:
    document = job(labels={"a": "job's"}, template={"labels": {"b": "template's"}})
    below, authored = translated(document, BELOW, labels={"a": "1", "b": "2"})
    assert below["metadata"]["labels"] == {"a": "job's", "b": "2", "execution.dev/id": "0a"}
    assert below["spec"]["template"]["metadata"]["labels"] == {"b": "template's", "a": "1", "execution.dev/id": "0a"}
    assert authored == {"/metadata/labels/a": "job's", "/spec/template/metadata/labels/b": "template's"}
    above, same = translated(document, ABOVE, labels={"a": "1", "b": "2"})
    for metadata in (above["metadata"], above["spec"]["template"]["metadata"]):
        assert metadata["labels"] == {"a": "1", "b": "2", "execution.dev/id": "0a"}
    assert same == authored


@pytest.mark.parametrize("level", [level for level in Level if level is not Level.AUTHOR])
def test_the_author_stands_between_defaults_and_what_was_passed(level: Level) -> None:
    wins = level > Level.AUTHOR
    document = job(labels={"a": "author"}, serviceAccountName="author", containers=[_container({"A": "author"})])
    changed, _ = translated(
        document, level, labels={"a": "x"}, securityContext=account("x"), envs=[{"name": "A", "value": "x"}]
    )
    expected = "x" if wins else "author"
    spec = changed["spec"]["template"]["spec"]
    assert changed["metadata"]["labels"]["a"] == expected
    assert spec["serviceAccountName"] == expected
    assert spec["containers"][0]["env"] == [{"name": "A", "value": expected}]


def _container(env: dict[str, Any] | None = None, name: str = "main") -> dict[str, Any]:
    entries = [{"name": k, **(v if isinstance(v, dict) else {"value": v})} for k, v in (env or {}).items()]
    return {"name": name, **({"env": entries} if env is not None else {})}


SECRET = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}


def test_variables_reach_every_container_and_init_container() -> None:
    document = job(containers=[_container(), _container({"B": "b"}, "side")], initContainers=[_container({}, "init")])
    changed, _ = translated(document, BELOW, envs=[{"name": "A", "value": "1"}])
    spec = changed["spec"]["template"]["spec"]
    assert [c["env"] for c in spec["initContainers"]] == [[{"name": "A", "value": "1"}]]
    assert [c["env"] for c in spec["containers"]] == [
        [{"name": "A", "value": "1"}],
        [{"name": "A", "value": "1"}, {"name": "B", "value": "b"}],
    ]


def test_a_variable_from_a_secret_is_left_or_replaced_as_a_whole() -> None:
    document = job(containers=[_container({"A": SECRET, "B": "b"})])
    options = {"envs": [{"name": "A", "value": "1"}]}
    below, authored = translated(document, BELOW, **options)
    assert below["spec"]["template"]["spec"] == document["spec"]["template"]["spec"]
    assert authored == {"/spec/template/spec/containers/0/env/A": "(valueFrom)"}
    above, _ = translated(document, ABOVE, **options)
    assert above["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "b"},
    ]


def test_of_a_variable_that_stands_there_twice_the_one_that_counts_is_replaced() -> None:
    document = job(containers=[{"name": "main", "env": [{"name": "A", "value": "0"}, {"name": "A", "value": "1"}]}])
    changed, authored = translated(document, ABOVE, envs=[{"name": "A", "value": "2"}])
    assert [e["value"] for e in changed["spec"]["template"]["spec"]["containers"][0]["env"]] == ["0", "2"]
    assert authored == {"/spec/template/spec/containers/0/env/A": "1"}


def test_the_storage_prefix_becomes_two_variables() -> None:
    changed, _ = translated(job(), BELOW, rawOutputDataConfig={"outputLocationPrefix": "s3://b/p"})
    assert changed["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "EXECUTION_RAW_OUTPUT_DATA_PREFIX", "value": "s3://b/own/"},
        {"name": "EXECUTION_OUTPUT_LOCATION_PREFIX", "value": "s3://b/p"},
    ]


@pytest.mark.parametrize(
    ("prefix", "name", "generate_name", "expected"),
    [
        ("s3://b/p", "train", "", "s3://b/p/team/train-0a/"),
        ("s3://b/p/", "train", "", "s3://b/p/team/train-0a/"),
        ("s3://b", "", "train-", "s3://b/team/train-0a/"),
        ("s3://b", "", "train", "s3://b/team/train0a/"),
        ("/data", "train", "train-", "/data/team/train-0a/"),
    ],
)
def test_every_execution_has_a_location_of_its_own(prefix: str, name: str, generate_name: str, expected: str) -> None:
    assert output_location(prefix, "team", name, generate_name, "0a") == expected


def test_an_account_is_filled_in() -> None:
    changed, authored = translated(job(), BELOW, securityContext=account("trainer"))
    assert changed["spec"]["template"]["spec"]["serviceAccountName"] == "trainer"
    assert "serviceAccount" not in changed["spec"]["template"]["spec"]
    assert authored == {}


def test_the_deprecated_name_of_the_account_is_kept_in_step() -> None:
    both = job(serviceAccountName="mine", serviceAccount="mine")
    changed, _ = translated(both, ABOVE, securityContext=account("trainer"))
    spec = changed["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("trainer", "trainer")
    cleared, _ = translated(both, ABOVE, securityContext=account(""))
    assert not {"serviceAccountName", "serviceAccount"} & set(cleared["spec"]["template"]["spec"])
    kept, authored = translated(job(serviceAccount="mine"), BELOW, securityContext=account("trainer"))
    assert kept["spec"]["template"]["spec"]["serviceAccount"] == "mine"
    assert authored == {"/spec/template/spec/serviceAccountName": "mine"}


def test_an_empty_account_clears_only_from_above() -> None:
    document = job(serviceAccountName="mine")
    below, _ = translated(document, BELOW, securityContext=account(""))
    assert below["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    above, authored = translated(document, ABOVE, securityContext=account(""))
    assert "serviceAccountName" not in above["spec"]["template"]["spec"]
    assert authored == {"/spec/template/spec/serviceAccountName": "mine"}
    bare, _ = translated(pod(serviceAccountName="mine"), ABOVE, securityContext=account(""))
    assert bare["spec"]["serviceAccountName"] == "default"


def test_a_role_alone_leaves_the_account_alone() -> None:
    changed, _ = translated(job(), ABOVE, securityContext={"runAs": {"iamRole": "arn:aws:iam::1:role/a"}})
    assert changed["spec"]["template"]["spec"] == job()["spec"]["template"]["spec"]


def defaulted_pod(written: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod as the webhook sees it: the ServiceAccount plugin was there before."""
    document = pod(**{"serviceAccountName": "default", "serviceAccount": "default", **spec})
    document["metadata"]["managedFields"] = [MANAGED, {"manager": "x", "fieldsV1": {"f:spec": written}}]
    return document


def test_the_account_that_a_plugin_wrote_into_a_pod_is_not_its_authors() -> None:
    document = defaulted_pod({}, imagePullSecrets=[{"name": "default's"}])
    changed, authored = translated(document, BELOW, securityContext=account("trainer"))
    assert (changed["spec"]["serviceAccountName"], changed["spec"]["serviceAccount"]) == ("trainer", "trainer")
    assert "imagePullSecrets" not in changed["spec"]
    assert authored == {}


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
def test_the_default_account_in_the_authors_own_words_stays(field: str) -> None:
    document = defaulted_pod({f"f:{field}": {}}, imagePullSecrets=[{"name": "default's"}])
    changed, authored = translated(document, BELOW, securityContext=account("trainer"))
    assert changed["spec"] == document["spec"]
    assert authored == {"/spec/serviceAccountName": "default"}


def test_the_authors_own_pull_secrets_stay_with_another_account() -> None:
    document = defaulted_pod({"f:imagePullSecrets": {".": {}}}, imagePullSecrets=[{"name": "mine"}])
    changed, _ = translated(document, ABOVE, securityContext=account("trainer"))
    assert changed["spec"]["imagePullSecrets"] == [{"name": "mine"}]


def test_pull_secrets_stay_where_the_account_does() -> None:
    document = defaulted_pod({}, imagePullSecrets=[{"name": "default's"}])
    changed, _ = translated(document, ABOVE, securityContext=account("default"))
    assert changed["spec"] == document["spec"]


def test_forged_metadata_goes_and_the_authors_annotations_stay() -> None:
    forged = {"execution.dev/id": "x", "execution.dev/snapshot": "y", "execution.dev/anything": "z", "mine": "1"}
    words = {"execution.dev/options": "a", "execution.dev/disable-notifications": "true"}
    document = job(
        labels={**forged, **words}, annotations={**forged, **words}, template={"labels": forged, "annotations": forged}
    )
    patch = Patch(copy.deepcopy(document))
    strip_forged(patch, metadata_places(JOB, patch.document))
    assert apply(document, patch.operations) == patch.document
    assert patch.document["metadata"]["labels"] == {"mine": "1"}
    assert patch.document["metadata"]["annotations"] == {"mine": "1", **words}
    assert patch.document["spec"]["template"]["metadata"] == {"labels": {"mine": "1"}, "annotations": {"mine": "1"}}


def test_an_owner_changes_nothing_of_a_translation() -> None:
    changed, _ = translated(controlled_by(job(), "batch/v1", "CronJob", "x"), BELOW, labels={"a": "1"})
    assert changed["spec"]["template"]["metadata"]["labels"]["a"] == "1"


@pytest.mark.parametrize(
    ("containers", "templates", "refusal"),
    [
        (50, 50, None),
        (5000, 1, "64 variables in each of 5000 containers"),
        (2, 20_000, "1 labels and annotations in each of 20000 pod templates"),
    ],
)
def test_what_would_take_the_api_server_long_is_refused_before_it_is_made(
    containers: int, templates: int, refusal: str | None
) -> None:
    own = [{"name": "OWN", "value": "1"}]
    spec = {"containers": [{"name": f"c{number}", "env": list(own)} for number in range(containers)]}
    document: dict[str, Any] = {"metadata": {}, "spec": {"template": {"spec": spec}}}
    envs = [{"name": f"V{number}", "value": '"' * 10} for number in range(64)]
    options = merge([layer(Level.NAMESPACE_DEFAULT, {"envs": envs, "labels": {"a": "b" * 60}}, "o")])
    patch, places = Patch(document), [("templates", str(number)) for number in range(templates)]
    if refusal is None:
        translate(patch, list(places), JOB, options, identifier="0a", location="")
        # The estimate is no less than what becomes of it.
        assert len(msgspec.json.encode(patch.operations)) < MAX_ADDED
        return
    with pytest.raises(PatchTooLargeError, match=refusal):
        translate(patch, list(places), JOB, options, identifier="0a", location="")
    assert patch.operations == []
