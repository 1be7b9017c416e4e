"""What an execution takes from another object: it counts as its author's, and says which pods there will be."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from execution_options.admission.creation import decide
from execution_options.admission.update import restore
from execution_options.engines.paths import read
from execution_options.engines.registry import builtin_engines
from execution_options.engines.specification import reference
from support.options import execution, namespaced
from support.rfc6902 import apply

ENGINES = builtin_engines()
ARGO, TRAINER = ENGINES["argo-workflow"], ENGINES["trainjob"]

Manifest = dict[str, Any]

WORKFLOW: Manifest = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "train-1"},
    "spec": {"workflowTemplateRef": {"name": "train"}},
}
TEMPLATE: Manifest = {
    "metadata": {"name": "train", "labels": {"team": "the template's own"}},
    "spec": {
        "serviceAccountName": "theirs",
        "parallelism": 9,
        "podMetadata": {"labels": {"team": "theirs"}},
        "templateDefaults": {"container": {"env": [{"name": "A", "value": "theirs"}]}},
    },
}
OPTIONS: Manifest = {
    "labels": {"team": "ours", "tier": "ours"},
    "securityContext": {"runAs": {"k8sServiceAccount": "ours"}},
    "maxParallelism": 4,
    "envs": [{"name": "A", "value": "ours"}, {"name": "B", "value": "ours"}],
}


def decided(engine: Any, document: Manifest, specification: Manifest | None, options: str | None = None) -> Manifest:
    """The execution with options: selected ones, or those that it refers to."""
    spec = OPTIONS if options else {**OPTIONS, "selector": {}}
    changed = copy.deepcopy(document)
    decision = decide(
        engine, changed, execution(options, engine=engine.name), [namespaced("o", spec)], "0a", specification
    )
    assert apply(document, decision.operations) == changed
    return changed


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ({}, None, None),
        ({"workflowTemplateRef": {"name": "a"}}, "WorkflowTemplate", "a"),
        ({"workflowTemplateRef": {"name": "a", "clusterScope": False}}, "WorkflowTemplate", "a"),
        ({"workflowTemplateRef": {"name": "a", "clusterScope": True}}, "ClusterWorkflowTemplate", "a"),
        ({"workflowTemplateRef": {"name": ""}}, None, None),
        ({"workflowTemplateRef": {"name": {"a": "b"}}}, None, None),
    ],
)
def test_what_a_workflow_refers_to(spec: Manifest, kind: str | None, name: str | None) -> None:
    found = reference(ARGO, {"spec": spec})
    assert (found and found.kind.kind, found and found.name) == (kind, name)


def test_defaults_leave_what_a_workflow_template_says() -> None:
    changed = decided(ARGO, WORKFLOW, TEMPLATE)
    spec = changed["spec"]
    assert "serviceAccountName" not in spec
    assert "parallelism" not in spec
    assert spec["podMetadata"]["labels"] == {"tier": "ours", "execution.dev/id": "0a"}
    assert spec["templateDefaults"]["container"]["env"] == [{"name": "B", "value": "ours"}]
    # A template's labels are its own: the workflow's metadata was not written there.
    assert changed["metadata"]["labels"] == {"team": "ours", "tier": "ours", "execution.dev/id": "0a"}


def test_what_a_workflow_refers_to_wins_over_its_template() -> None:
    spec = decided(ARGO, WORKFLOW, TEMPLATE, "o")["spec"]
    assert (spec["serviceAccountName"], spec["parallelism"]) == ("ours", 4)
    assert spec["podMetadata"]["labels"] == {"team": "ours", "tier": "ours", "execution.dev/id": "0a"}
    assert spec["templateDefaults"]["container"]["env"] == [
        {"name": "A", "value": "ours"},
        {"name": "B", "value": "ours"},
    ]


def test_what_the_workflow_says_itself_counts_before_its_template() -> None:
    own = {**WORKFLOW, "spec": {**WORKFLOW["spec"], "serviceAccountName": "own"}}
    changed = decided(ARGO, own, TEMPLATE)
    assert changed["spec"]["serviceAccountName"] == "own"


def test_a_template_that_is_gone_says_nothing() -> None:
    assert decided(ARGO, WORKFLOW, None)["spec"]["serviceAccountName"] == "ours"


def test_an_original_manifest_that_is_applied_again_still_leaves_what_the_template_says() -> None:
    stored = decided(ARGO, WORKFLOW, TEMPLATE)
    again = copy.deepcopy(WORKFLOW)
    restore(ARGO, again, stored, trusted=False)
    assert again["spec"] == stored["spec"]


def test_what_a_template_caches_is_said_to_stay() -> None:
    options = namespaced("o", {"selector": {}, "overwriteCache": True})
    cached = {"spec": {"templates": [{"name": "a", "memoize": {"key": "k"}}]}}
    for template, said in ((cached, 1), (TEMPLATE, 0)):
        document = copy.deepcopy(WORKFLOW)
        decision = decide(ARGO, document, execution(engine="argo-workflow"), [options], "0a", template)
        assert sum("what its template caches" in note for note in decision.notes) == said
        assert "templates" not in document["spec"]


RUNTIME: Manifest = {
    "metadata": {"name": "torch"},
    "spec": {
        "template": {
            "spec": {
                "replicatedJobs": [
                    {"name": "node", "template": {"spec": {"template": {"spec": {"serviceAccountName": "theirs"}}}}},
                    {"name": "launcher", "template": {"spec": {"template": {"spec": {}}}}},
                ]
            }
        }
    },
}
TRAINJOB: Manifest = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "train-1"},
    "spec": {"runtimeRef": {"name": "torch"}, "runtimePatches": [{"manager": "example.com/mine"}]},
}
OURS = "spec.runtimePatches[manager=execution.dev/options].trainingRuntimeSpec.template.spec.replicatedJobs"


def test_every_job_of_a_runtime_gets_a_patch_under_our_name() -> None:
    changed = decided(TRAINER, TRAINJOB, RUNTIME)
    assert [one["manager"] for one in changed["spec"]["runtimePatches"]] == [
        "example.com/mine",
        "execution.dev/options",
    ]
    node, launcher = (f"{OURS}[name={name}].template.spec.template" for name in ("node", "launcher"))
    assert read(changed, f"{node}.spec.serviceAccountName") is None
    assert read(changed, f"{launcher}.spec.serviceAccountName") == "ours"
    assert read(changed, f"{node}.metadata.labels") == {"team": "ours", "tier": "ours", "execution.dev/id": "0a"}
    assert changed["spec"]["trainer"]["env"] == OPTIONS["envs"]


def test_options_that_are_referred_to_win_over_the_runtime() -> None:
    changed = decided(TRAINER, TRAINJOB, RUNTIME, "o")
    assert read(changed, f"{OURS}[name=node].template.spec.template.spec.serviceAccountName") == "ours"


def test_a_trainjob_without_its_runtime_is_not_patched() -> None:
    assert decided(TRAINER, TRAINJOB, None)["spec"]["runtimePatches"] == TRAINJOB["spec"]["runtimePatches"]


def test_an_original_manifest_that_is_applied_again_gets_its_patch_again() -> None:
    stored = decided(TRAINER, TRAINJOB, RUNTIME)
    again = copy.deepcopy(TRAINJOB)
    restore(TRAINER, again, stored, trusted=False)
    assert again["spec"] == stored["spec"]


def test_nothing_is_patched_where_no_options_apply() -> None:
    document = copy.deepcopy(TRAINJOB)
    assert decide(TRAINER, document, execution(engine="trainjob"), [namespaced("o")], "0a", RUNTIME).operations == []
    assert document == TRAINJOB
