"""Argo's artifacts go below the storage prefix of options, with the credentials that a namespace has."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from execution_options.admission.decision import RefusedError, decide
from execution_options.admission.restore import restore
from execution_options.engines.artifacts import Repositories, entries, location_of, render
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
    data = render(REPOSITORIES, {"s3.ours"})
    before, after = yaml.safe_load(S3), yaml.safe_load(data["s3.ours"])
    assert after["s3"].pop("bucket") == "ours"
    assert after["s3"].pop("keyFormat") == KEY_FORMAT
    for name in ("bucket", "keyPrefix"):
        del before["s3"][name]
    assert after == before


@pytest.mark.parametrize(
    "repositories",
    [
        {},
        {"data": {"main": S3}},
        {**REPOSITORIES, "data": {"other": S3}},
        {**REPOSITORIES, "data": {"main": "gcs: {bucket: theirs}"}},
        {**REPOSITORIES, "data": {"main": "[not: yaml"}},
        {**REPOSITORIES, "data": {"main": "text"}},
        {**REPOSITORIES, "data": {"main": "s3: text"}},
    ],
)
def test_an_entry_is_empty_where_the_default_repository_is_of_another_kind(repositories: Manifest) -> None:
    assert render(repositories, {"s3.ours"}) == {"s3.ours": ""}


READY = Repositories(has_default=True, entries={"s3.ours": "s3: {}", "gs.ours": ""})


def decided(
    prefix: str = "s3://ours/runs",
    repositories: Repositories = READY,
    *,
    options: str | None = None,
    spec: Manifest | None = None,
    template: Manifest | None = None,
) -> tuple[Manifest, list[str]]:
    """The workflow with options, and what is said of it."""
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


@pytest.mark.parametrize(
    ("prefix", "repositories", "problem"),
    [
        ("s3://ours", Repositories(), "no artifact repository of its own"),
        ("gs://ours", READY, "is none for gs://"),
        ("file:///data", READY, "no artifact repository can be at"),
        ("s3://others", READY, "is being prepared"),
    ],
)
def test_what_cannot_be_is_said(prefix: str, repositories: Repositories, problem: str) -> None:
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
