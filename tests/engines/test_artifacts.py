"""Argo's artifacts go below the storage prefix of options, with the credentials that a namespace has."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options.admission.creation import decide
from execution_options.admission.refusal import RefusedError
from execution_options.admission.update import restore
from execution_options.engines.artifacts import (
    MOST_BYTES,
    MOST_LEVELS,
    MOST_RENDERED,
    Repositories,
    entries,
    location_of,
    render,
)
from execution_options.engines.registry import builtin_engines
from support.options import NAMESPACE, execution, namespaced

ARGO = builtin_engines()["argo-workflow"]
OUTPUT_KEY = "execution.dev/output-key"
KEY_FORMAT = "{{workflow.annotations.execution.dev/output-key}}/{{pod.name}}"

S3 = """
archiveLogs: true
s3:
  bucket: theirs
  keyPrefix: old
  endpoint: minio:9000
  insecure: true
  accessKeySecret: {name: minio, key: accesskey}
  secretKeySecret: {name: minio, key: secretkey}
"""
REPOSITORIES = {
    "metadata": {"annotations": {"workflows.argoproj.io/default-artifact-repository": "main"}},
    "data": {"main": S3, "other": "gcs: {bucket: others}"},
}

Manifest = dict[str, Any]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3://bucket/a/b", ("s3", "bucket", "a/b")),
        ("s3://bucket", ("s3", "bucket", "")),
        ("s3://bucket/", ("s3", "bucket", "")),
        ("gs://bucket/a/", ("gs", "bucket", "a")),
        ("oss://bucket/a", ("oss", "bucket", "a")),
        ("abfs://container@account/a", None),
        ("file:///tmp", None),
        ("nonsense", None),
    ],
)
def test_where_artifacts_can_be(text: str, found: tuple[str, str, str] | None) -> None:
    assert location_of(text) == found


def test_each_bucket_needs_one_entry() -> None:
    assert entries(["s3://a/x", "s3://a/y", "gs://a", "nonsense"]) == {"s3.a", "gs.a"}


def test_an_entry_is_the_default_repository_with_another_bucket_and_key() -> None:
    data, problem = render(REPOSITORIES, {"s3.ours"})
    assert problem == ""
    before, after = yaml.safe_load(S3), yaml.safe_load(data["s3.ours"])
    assert after["s3"].pop("bucket") == "ours"
    assert after["s3"].pop("keyFormat") == KEY_FORMAT
    for name in ("bucket", "keyPrefix"):
        del before["s3"][name]
    assert after == before


def repository(text: str) -> Manifest:
    return {**REPOSITORIES, "data": {"main": text}}


@pytest.mark.parametrize(
    "repositories",
    [
        {},
        {"data": {"main": S3}},
        {**REPOSITORIES, "data": {"other": S3}},
        *(repository(text) for text in ("", "gcs: {bucket: theirs}", "text", "[s3]", "s3: text", "? [s3]\n: {}")),
    ],
)
def test_an_entry_is_empty_where_the_default_repository_is_of_another_kind(repositories: Manifest) -> None:
    assert render(repositories, {"s3.ours"}) == ({"s3.ours": ""}, "")


ROOM = MOST_BYTES - len("s3: {}\n# ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"s3: {{}}\n# {'x' * ROOM}", ""),
        (f"s3: {{}}\n# {'x' * (ROOM + 1)}", f"is larger than {MOST_BYTES} bytes"),
        (f"s3: {{}}\n# {'é' * (ROOM // 2 + 1)}", f"is larger than {MOST_BYTES} bytes"),
        (f"s3: {{}}\na: {'[' * (MOST_LEVELS - 1)}{']' * (MOST_LEVELS - 1)}", ""),
        (f"s3: {{}}\na: {'[' * MOST_LEVELS}{']' * MOST_LEVELS}", f"is nested more than {MOST_LEVELS} levels deep"),
        ("s3: [not: yaml", "is no YAML"),
        ("s3: *nobody", "is no YAML"),
        ("s3: \x00", "is no YAML"),
        ("s3: {}\n---\ns3: {}", "is no YAML"),
    ],
)
def test_a_text_that_cannot_be_used_is_said_and_leaves_entries_empty(text: str, problem: str) -> None:
    data, reported = render(repository(text), {"s3.ours", "gs.ours"})
    assert bool(data["s3.ours"]) == (not problem)
    assert data["gs.ours"] == ""
    assert (problem in reported) if problem else (reported == "")
    assert reported.startswith("entry main of ConfigMap artifact-repositories ") == bool(problem)


SCALARS = [
    "true",
    "'true'",
    "0x1F",
    "1:20:30",
    "2001-01-01",
    "~",
    "!!str 1",
    "1e3",
    "no",
    '"\\u00e9"',
    "é",
    "007",
    "9" * 5000,
]


@pytest.mark.parametrize("scalar", SCALARS)
def test_scalars_stay_as_their_author_wrote_them(scalar: str) -> None:
    data, _ = render(repository(f"s3:\n  value: {scalar}\n"), {"s3.ours"})

    def written(text: str) -> tuple[str, str | None]:
        node: Any = yaml.compose(text, Loader=yaml.BaseLoader)
        value = node.value[0][1].value[0][1]
        return value.value, value.tag if "!!" in scalar else value.style

    assert written(data["s3.ours"]) == written(f"s3:\n  value: {scalar}\n")


def test_aliases_and_merge_keys_keep_their_meaning() -> None:
    text = (
        "base: &base {endpoint: minio, keyPrefix: old, bucket: theirs}\ns3: {<<: *base, insecure: true}\ngcs: *base\n"
    )
    data, _ = render(repository(text), {"s3.ours", "gs.ours"})
    s3, gcs = (yaml.safe_load(data[name]) for name in ("s3.ours", "gs.ours"))
    assert (s3["s3"]["bucket"], s3["s3"]["endpoint"], s3["s3"]["insecure"]) == ("ours", "minio", True)
    assert (gcs["gcs"]["bucket"], gcs["s3"]["bucket"], gcs["base"]["bucket"]) == ("ours", "theirs", "theirs")


def test_aliases_are_not_written_out() -> None:
    text = "a: &a [zz, zz]\nb: &b [*a, *a]\nc: [*b, *b]\ns3: {}\n"
    data, _ = render(repository(text), {"s3.ours"})
    assert data["s3.ours"].count("zz") == 2


@pytest.mark.parametrize("bucket", ["null", "1e3", "true", "a.b-c_d"])
def test_a_bucket_is_a_text_whatever_it_is_called(bucket: str) -> None:
    data, _ = render(REPOSITORIES, {f"s3.{bucket}"})
    assert yaml.safe_load(data[f"s3.{bucket}"])["s3"]["bucket"] == bucket


def test_entries_that_no_config_map_has_room_for_are_left_out_and_said() -> None:
    buckets = [f"s3.b{number}" for number in range(150)]
    data, problem = render(repository(f"s3: {{}}\na: {'x' * 8000}"), buckets)
    assert list(data) == buckets[: len(data)]
    assert sum(len(name) + len(text) for name, text in data.items()) <= MOST_RENDERED
    assert 100 < len(data) < 150
    assert problem.startswith("the repositories of all buckets together take more than")


@given(st.text(max_size=200) | st.text(alphabet="s3: {}[]-?*&a!|>\n'\"#", max_size=200))
def test_no_text_is_too_much(text: str) -> None:
    data, _ = render(repository(text), {"s3.ours"})
    if data["s3.ours"]:
        assert yaml.compose(data["s3.ours"], Loader=yaml.BaseLoader) is not None


READY = Repositories(has_default=True, entries={"s3.ours": "s3: {}", "gs.ours": ""})


def decided(
    prefix: str = "s3://ours/runs",
    repositories: Repositories = READY,
    *,
    options: str | None = None,
    spec: Manifest | None = None,
    template: Manifest | None = None,
) -> tuple[Manifest, list[str]]:
    """The workflow with options, and its notes."""
    document: Manifest = {"kind": "Workflow", "metadata": {"name": "train-1"}, "spec": spec or {}}
    own: Manifest = {"rawOutputDataConfig": {"outputLocationPrefix": prefix}}
    given = [namespaced("o", own if options else {**own, "selector": {}})]
    asked = execution(options, engine="argo-workflow")
    decision = decide(ARGO, document, asked, given, "0a", template, repositories)
    return document, decision.notes


def test_a_workflow_refers_to_the_entry_of_its_bucket() -> None:
    document, notes = decided()
    assert document["spec"]["artifactRepositoryRef"] == {"configMap": "execution-options-artifacts", "key": "s3.ours"}
    assert document["metadata"]["annotations"][OUTPUT_KEY] == f"runs/{NAMESPACE}/train-1-0a"
    assert notes == []


THEIRS = {"artifactRepositoryRef": {"configMap": "mine", "key": "k"}}


@pytest.mark.parametrize(("spec", "template"), [(THEIRS, None), ({}, {"spec": THEIRS})])
def test_a_default_leaves_the_authors_repository(spec: Manifest, template: Manifest | None) -> None:
    document, (note,) = decided(spec=copy.deepcopy(spec), template=template)
    assert document["spec"].get("artifactRepositoryRef") == spec.get("artifactRepositoryRef")
    assert OUTPUT_KEY not in document["metadata"]["annotations"]
    assert note.startswith("artifactRepositoryRef: stays 'mine/k' as its author wrote it")
    document, (note,) = decided(options="o", spec=copy.deepcopy(spec), template=template)
    assert document["spec"]["artifactRepositoryRef"]["key"] == "s3.ours"
    assert "replaces 'mine/k'" in note


@pytest.mark.parametrize("empty", [None, {}, {"configMap": "", "key": ""}])
def test_an_empty_reference_is_open(empty: Manifest | None) -> None:
    document, notes = decided(spec={"artifactRepositoryRef": copy.deepcopy(empty)})
    assert document["spec"]["artifactRepositoryRef"]["key"] == "s3.ours"
    assert notes == []
    # An author who applies such a manifest again has not replaced it.
    again: Manifest = {"kind": "Workflow", "metadata": {"name": "train-1"}, "spec": {"artifactRepositoryRef": empty}}
    restore(ARGO, again, document, trusted=False)
    assert again["spec"]["artifactRepositoryRef"] == document["spec"]["artifactRepositoryRef"]


@pytest.mark.parametrize(
    ("prefix", "repositories", "problem"),
    [
        ("s3://ours", Repositories(), "no artifact repository of its own"),
        ("gs://ours", READY, "is none for gs://"),
        ("file:///data", READY, "no artifact repository can be at"),
        ("s3://others", READY, "is being prepared"),
    ],
)
def test_a_repository_that_cannot_be_used_is_reported(prefix: str, repositories: Repositories, problem: str) -> None:
    document, notes = decided(prefix, repositories)
    assert "artifactRepositoryRef" not in document["spec"]
    assert [problem in note for note in notes] == [True]


def test_options_that_were_asked_for_wait_for_their_repository() -> None:
    with pytest.raises(RefusedError, match=r"being prepared .* try again in a moment"):
        decided("s3://others", options="o")


def test_an_original_manifest_that_is_applied_again_keeps_its_repository() -> None:
    stored, _ = decided()
    again: Manifest = {"kind": "Workflow", "metadata": {"name": "train-1"}, "spec": {}}
    restore(ARGO, again, stored, trusted=False)
    assert again["spec"]["artifactRepositoryRef"] == stored["spec"]["artifactRepositoryRef"]
    assert again["metadata"]["annotations"][OUTPUT_KEY] == stored["metadata"]["annotations"][OUTPUT_KEY]
