"""What is sent to launch a workflow, whatever form it is given in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client import V1Container, V1Job, V1JobSpec, V1ObjectMeta, V1PodSpec, V1PodTemplateSpec

from execution_options import Email, Options, WorkflowExecutionPhase
from execution_options.api.names import INLINE_ANNOTATION, OPTIONS_ANNOTATION
from execution_options.launching.manifest import manifest_of, spec_of, with_options

if TYPE_CHECKING:
    from pathlib import Path

JOB: dict[str, Any] = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": {"a": 1}}


class Hera:
    """A workflow as Hera has it."""

    def to_dict(self) -> dict[str, Any]:
        return JOB


def test_a_workflow_is_a_manifest_in_any_form(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(JOB))
    for form in (JOB, json.dumps(JOB), f"---\n{json.dumps(JOB)}\n---\n", path, str(path), Hera()):
        assert manifest_of(form) == JOB


def test_models_of_the_kubernetes_client_have_the_names_of_manifests() -> None:
    container = V1Container(name="main", image="busybox", image_pull_policy="Never")
    template = V1PodTemplateSpec(spec=V1PodSpec(containers=[container], restart_policy="Never"))
    job = V1Job(api_version="batch/v1", kind="Job", metadata=V1ObjectMeta(name="a"), spec=V1JobSpec(template=template))
    assert manifest_of(job) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "a"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [{"name": "main", "image": "busybox", "imagePullPolicy": "Never"}],
                    "restartPolicy": "Never",
                }
            }
        },
    }


@pytest.mark.parametrize(
    ("workflow", "message"),
    [
        ({}, "apiVersion is missing"),
        ({"apiVersion": "batch/v1"}, "kind is missing"),
        ({**JOB, "metadata": []}, "metadata must be a map"),
        ("- a\n", "a workflow is a manifest, not list"),
        ("a: b\n---\nc: d\n", "a workflow is one manifest, these are 2"),
        ("\n", "a workflow is one manifest, these are 0"),
        ("a: [\n", "a workflow is YAML or JSON: while parsing"),
        (object(), "a workflow is a manifest, not object"),
    ],
)
def test_what_is_no_manifest_is_refused_before_anything_is_sent(workflow: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        manifest_of(workflow)


def test_options_become_the_inline_annotation_and_the_workflow_stays_as_it_is() -> None:
    options = Options(
        labels={"team": "search"},
        max_parallelism=5,
        notifications=[Email([WorkflowExecutionPhase.FAILED], ["a@example.com"])],
    )
    made = with_options(JOB, spec_of(options), ["nightly", "cluster/gpu"], generate_name="train-")
    assert made["metadata"] == {
        "generateName": "train-",
        "annotations": {
            OPTIONS_ANNOTATION: "nightly,cluster/gpu",
            INLINE_ANNOTATION: made["metadata"]["annotations"][INLINE_ANNOTATION],
        },
    }
    assert json.loads(made["metadata"]["annotations"][INLINE_ANNOTATION]) == {
        "labels": {"team": "search"},
        "maxParallelism": 5,
        "notifications": [{"phases": ["FAILED"], "email": {"recipients": ["a@example.com"]}}],
    }
    assert JOB["metadata"] == {"name": "train"}


def test_without_options_nothing_is_added() -> None:
    assert with_options(JOB, spec_of(None)) == JOB
    assert with_options(JOB, spec_of(Options())) == JOB


def test_what_has_no_name_gets_a_unique_one() -> None:
    nameless = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
    assert with_options(nameless, {})["metadata"] == {"generateName": "workflow-"}
    assert with_options(nameless, {}, name="mine")["metadata"] == {"name": "mine"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(max_parallelism=-1), "maxParallelism: -1: cannot be negative"),
        (Options(priority=5), "priority: inline options prevail"),
        (Options(mode="Enforce", selector={}), "mode: inline options are its author's"),
        (Options(selector={}), "selector: inline options are for this execution alone"),
        (Options(namespace_selector={}), "namespace_selector: options of one execution select nothing"),
        ({"maxParalelism": 1}, "maxParalelism: unknown field"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_sent(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec_of(options)


def test_options_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError):
        spec_of(5)


def test_a_workflow_with_inline_options_of_its_own_gets_no_others() -> None:
    own = {**JOB, "metadata": {"annotations": {INLINE_ANNOTATION: "{}"}}}
    with pytest.raises(ValueError, match=r"has the annotation execution\.dev/inline already"):
        with_options(own, {"maxParallelism": 1})
    assert with_options(own, {})["metadata"]["annotations"] == {INLINE_ANNOTATION: "{}"}
