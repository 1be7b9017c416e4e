"""An author's own values become a layer for explain and sentences for events."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from execution_options.engines.authors import author_layer, notes
from execution_options.options.levels import Level
from execution_options.options.merge import merge
from support.options import layer

AUTHORED = {
    "/metadata/labels/example.com~1team": "job's",
    "/spec/template/metadata/labels/example.com~1team": "pods'",
    "/metadata/annotations/note": "n",
    "/spec/template/spec/serviceAccountName": "mine",
    "/spec/template/spec/containers/0/env/A": "1",
    "/spec/template/spec/initContainers/0/env/A": "2",
}


def account_in(spec: Any) -> Any:
    return spec.security_context.run_as.k8s_service_account


def test_where_execution_and_pods_differ_the_pods_count() -> None:
    authors_layer = author_layer(AUTHORED, "Job", "train")
    assert str(authors_layer.source) == "Job train (written by the author)"
    assert authors_layer.spec.labels == {"example.com/team": "pods'"}
    assert authors_layer.spec.annotations == {"note": "n"}
    assert account_in(authors_layer.spec) == "mine"
    assert {env.name for env in authors_layer.spec.envs or ()} == {"A"}


def test_nobody_said_anything() -> None:
    authors_layer = author_layer({}, "Job", "train").spec
    assert authors_layer.labels == {}
    assert account_in(authors_layer) is UNSET


def test_a_sentence_for_everything_that_differs() -> None:
    spec = {
        "labels": {"example.com/team": "x"},
        "annotations": {"note": "n"},
        "envs": [{"name": "A", "value": "1"}],
        "securityContext": {"runAs": {"k8sServiceAccount": ""}},
    }
    left = "as its author wrote it, ExecutionOptions o (namespace default) says"
    assert notes(AUTHORED, merge([layer(Level.NAMESPACE_DEFAULT, spec, "o")])) == [
        f"label example.com/team: stays \"job's\" {left} 'x'",
        f"label example.com/team: stays \"pods'\" {left} 'x'",
        f"serviceAccountName: stays 'mine' {left} 'default'",
        f"env A: stays '2' {left} '1'",
    ]
    replaced = notes(AUTHORED, merge([layer(Level.CLUSTER_ENFORCE, spec, "o")]))
    assert replaced[0] == (
        "label example.com/team: ClusterExecutionOptions o (cluster enforced) made it 'x', its author wrote \"job's\""
    )
    assert len(replaced) == 4


def test_a_key_with_a_field_s_own_name_is_not_confused_with_it() -> None:
    authored = {"/metadata/labels/serviceAccountName": "l", "/metadata/annotations/env": "e"}
    spec = {"labels": {"serviceAccountName": "x"}, "securityContext": {"runAs": {"k8sServiceAccount": "a"}}}
    authors_layer = author_layer(authored, "Job", "x").spec
    assert authors_layer.labels == {"serviceAccountName": "l"}
    assert account_in(authors_layer) is UNSET
    (sentence,) = notes(authored, merge([layer(Level.EXECUTION, spec, "o")]))
    assert "made it 'x'" in sentence
