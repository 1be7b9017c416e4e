"""Values in the object that completes an execution are its author's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_defaults_leave_the_values_of_a_workflow_template() -> None:
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


def test_the_workflow_wins_over_its_template() -> None:
    own = {**WORKFLOW, "spec": {**WORKFLOW["spec"], "serviceAccountName": "own"}}
    changed = decided(ARGO, own, TEMPLATE)
    assert changed["spec"]["serviceAccountName"] == "own"


def test_a_template_that_does_not_exist_has_no_values() -> None:
    assert decided(ARGO, WORKFLOW, None)["spec"]["serviceAccountName"] == "ours"


def test_an_original_manifest_that_is_applied_again_still_leaves_the_values_of_the_template() -> None:
    stored = decided(ARGO, WORKFLOW, TEMPLATE)
    again = copy.deepcopy(WORKFLOW)
    restore(ARGO, again, stored, trusted=False)
    assert again["spec"] == stored["spec"]


def test_a_note_reports_that_the_caches_of_a_template_stay() -> None:
    options = namespaced("o", {"selector": {}, "overwriteCache": True})
    cached = {"spec": {"templates": [{"name": "a", "memoize": {"key": "k"}}]}}
    for template, count in ((cached, 1), (TEMPLATE, 0)):
        document = copy.deepcopy(WORKFLOW)
        decision = decide(ARGO, document, execution(engine="argo-workflow"), [options], "0a", template)
        assert sum("what its template caches" in note for note in decision.notes) == count
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


def by(manager: str, job: str = "node", **template: Any) -> Manifest:
    """A patch of a job under somebody's name."""
    jobs = [{"name": job, "template": {"spec": {"template": template}}}]
    return {"manager": manager, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}


EVIL: Manifest = {"metadata": {"labels": {"team": "evil"}}, "spec": {"serviceAccountName": "evil"}}
ENFORCED: Manifest = {**OPTIONS, "selector": {}, "mode": "Enforce"}
DEFAULT: Manifest = {**OPTIONS, "selector": {}}


def trained(patches: list[Manifest], spec: Manifest, runtime: Manifest | None = RUNTIME) -> Manifest:
    """A TrainJob with options, created with these patches."""
    changed = {**copy.deepcopy(TRAINJOB), "spec": {"runtimeRef": {"name": "torch"}, "runtimePatches": patches}}
    before = copy.deepcopy(changed)
    decision = decide(TRAINER, changed, execution(engine="trainjob"), [namespaced("o", spec)], "0a", runtime)
    assert apply(before, decision.operations) == changed
    return changed


def updated(stored: Manifest, patches: list[Manifest]) -> Manifest:
    """The same with other patches."""
    document = copy.deepcopy(stored)
    document["spec"]["runtimePatches"] = copy.deepcopy(patches)
    before = copy.deepcopy(document)
    operations = restore(TRAINER, document, stored, trusted=False)
    assert apply(before, operations) == document
    return document


def of_pods(trainjob: Manifest, job: str = "node") -> Manifest:
    """Labels and account of the pods of a job of the runtime: a later patch wins."""
    labels: Manifest = {}
    account = ""
    for patch in trainjob["spec"]["runtimePatches"]:
        for one in read(patch, "trainingRuntimeSpec.template.spec.replicatedJobs") or ():
            if one["name"] == job:
                labels |= read(one, "template.spec.template.metadata.labels") or {}
                account = read(one, "template.spec.template.spec.serviceAccountName") or account
    return {"labels": labels, "account": account}


@pytest.mark.parametrize(
    "patches",
    [
        [{"manager": "execution.dev/options"}, by("example.com/evil", **EVIL)],
        [by("execution.dev/options", **EVIL), by("example.com/evil", **EVIL)],
        [by("example.com/evil", **EVIL), by("execution.dev/options", "no-such-job", **EVIL)],
    ],
)
def test_what_is_enforced_is_in_the_last_patch_of_a_trainjob(patches: list[Manifest]) -> None:
    changed = trained(patches, ENFORCED)
    managers = [patch["manager"] for patch in changed["spec"]["runtimePatches"]]
    assert managers == ["example.com/evil", "execution.dev/options"]
    assert of_pods(changed) == {
        "labels": {"team": "ours", "tier": "ours", "execution.dev/id": "0a"},
        "account": "ours",
    }
    assert read(changed, f"{OURS}[name=no-such-job]") is None


def test_nobody_else_has_a_patch_under_our_name() -> None:
    assert trained([by("execution.dev/options", **EVIL)], ENFORCED, None)["spec"]["runtimePatches"] == []
    document = {**copy.deepcopy(TRAINJOB), "spec": {"runtimePatches": [by("execution.dev/options", **EVIL)]}}
    decide(TRAINER, document, execution(engine="trainjob"), [], "0a", RUNTIME)
    assert document["spec"]["runtimePatches"] == []


def test_a_default_leaves_the_values_of_an_authors_patch() -> None:
    changed = trained([by("example.com/mine", **EVIL)], DEFAULT)
    assert of_pods(changed)["labels"] == {"team": "evil", "tier": "ours", "execution.dev/id": "0a"}
    assert of_pods(changed)["account"] == "evil"
    assert of_pods(changed, "launcher")["account"] == "ours"


def test_an_empty_account_in_a_patch_changes_nothing_but_an_empty_label_is_a_value() -> None:
    empty: Manifest = {"metadata": {"labels": {"team": ""}}, "spec": {"serviceAccountName": ""}}
    changed = trained([by("example.com/mine", **empty), by("example.com/mine2", "launcher", **empty)], DEFAULT)
    *others, ours = changed["spec"]["runtimePatches"]
    for job, account in (("node", ""), ("launcher", "ours")):  # the runtime has an account for its node
        assert of_pods({"spec": {"runtimePatches": [ours]}}, job)["account"] == account
        assert of_pods(changed, job)["labels"] == {"team": "", "tier": "ours", "execution.dev/id": "0a"}
    assert updated(changed, others) == changed


MANAGERS = ("example.com/a", "example.com/b", "execution.dev/options")
TEMPLATES = st.builds(
    lambda labels, account: {
        "metadata": {"labels": labels},
        "spec": {} if account is None else {"serviceAccountName": account},
    },
    st.dictionaries(st.sampled_from(["team", "own"]), st.sampled_from(["x", "y"])),
    st.sampled_from([None, "", "x"]),
)
PATCHES = st.lists(
    st.builds(
        lambda manager, job, template: by(manager, job, **template),
        st.sampled_from(MANAGERS),
        st.sampled_from(["node", "launcher"]),
        TEMPLATES,
    ),
    max_size=3,
    unique_by=lambda patch: patch["manager"],
)


@given(PATCHES, PATCHES, st.booleans())
def test_ours_is_the_last_patch_and_the_only_one_under_our_name_whatever_others_write(
    first: list[Manifest], later: list[Manifest], enforce: bool
) -> None:
    created = trained(copy.deepcopy(first), ENFORCED if enforce else DEFAULT)
    for patches, trainjob in ((first, created), (later, updated(created, later))):
        *others, ours = trainjob["spec"]["runtimePatches"]
        authors = [patch for patch in patches if patch["manager"] != "execution.dev/options"]
        assert (others, ours["manager"]) == (authors, "execution.dev/options")
        for job in ("node", "launcher"):
            without = of_pods({"spec": {"runtimePatches": authors}}, job)
            found = of_pods(trainjob, job)
            team = None if enforce else without["labels"].get("team")
            assert found["labels"]["execution.dev/id"] == "0a"
            assert found["labels"].get("team") in ({team} if team else {"ours", None})
            if enforce:
                assert (found["labels"]["team"], found["account"]) == ("ours", "ours")
            elif without["account"]:
                assert found["account"] == without["account"]


@given(PATCHES, st.booleans())
def test_an_update_that_leaves_the_patches_changes_none(patches: list[Manifest], enforce: bool) -> None:
    created = trained(copy.deepcopy(patches), ENFORCED if enforce else DEFAULT)
    again = copy.deepcopy(created)
    again["spec"]["suspend"] = True
    assert restore(TRAINER, again, created, trusted=False) == []


def test_nothing_is_patched_where_no_options_apply() -> None:
    document = copy.deepcopy(TRAINJOB)
    assert decide(TRAINER, document, execution(engine="trainjob"), [namespaced("o")], "0a", RUNTIME).operations == []
    assert document == TRAINJOB
