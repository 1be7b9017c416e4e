"""Argo's controller with templateReferencing Strict refuses what options write, and takes the example's description."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from execution_options.local import LocalOperator
from support.desk import Desk, Manifest
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.controllerprocess import EngineController

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "argo-strict.yaml")
REFUSED = "not permitted when using workflowTemplateRef"


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    with LocalOperator(control_plane.kubeconfig, control_plane.context) as operator:
        yield operator


@pytest.fixture
def desk(control_plane: Cluster, namespace: str, operator: LocalOperator) -> Desk:
    desk = Desk(control_plane, namespace)
    leaf = {"name": "main", "container": {"image": "none", "command": ["true"]}}
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "hardened"},
        "spec": {"entrypoint": "main", "templates": [leaf]},
    }
    spec = {
        "selector": {"matchLabels": {"run": "with-options"}},
        "labels": {"team": "vision"},
        "annotations": {"example.com/owner": "ana"},
        "securityContext": {"runAs": {"k8sServiceAccount": "default"}},
        "notifications": [{"phases": ["SUCCEEDED"], "webhook": {}}],
    }
    options = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionOptions",
        "metadata": {"name": "o"},
        "spec": spec,
    }
    for manifest in (template, options):
        desk.kubectl("apply", "-f", "-", manifest=manifest)
    return desk


@pytest.fixture
def strict(control_plane: Cluster, desk: Desk, argo_controller: EngineController) -> Iterator[None]:
    """Argo's controller takes workflows of templates alone, with few fields of their own."""
    path = ["configmap", "workflow-controller-configmap", f"--namespace={argo_controller.namespace}", "--type=merge"]

    def restrict(value: str | None) -> None:
        restrictions = None if value is None else f"templateReferencing: {value}\n"
        change = json.dumps({"data": {"workflowRestrictions": restrictions}})
        control_plane.run_kubectl(["patch", *path, f"--patch={change}"])

    restrict("Strict")
    try:
        # It reads its configuration some time later.
        eventually(lambda: REFUSED in ended(desk, parallelism=2)["message"], timeout=60)
        yield
    finally:
        restrict(None)


def ended(desk: Desk, labels: dict[str, str] | None = None, **spec: object) -> Manifest:
    """The status of a workflow of the template, once it has ended."""
    name = f"run-{secrets.token_hex(4)}"
    document: Manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"workflowTemplateRef": {"name": "hardened"}, **spec},
    }
    desk.kubectl("create", "-f", "-", manifest=document)
    over = ("Succeeded", "Failed", "Error")
    found = eventually(
        lambda: (there := desk.get("workflow", name)).get("status", {}).get("phase") in over and there, timeout=60
    )
    return {"message": "", **found["status"], "workflow": found}


@pytest.mark.usefixtures("strict")
def test_a_strict_argo_takes_workflows_under_the_description_for_it(desk: Desk, control_plane: Cluster) -> None:
    options = {"run": "with-options"}
    assert REFUSED in ended(desk, options)["message"]
    control_plane.run_kubectl(["apply", "-f", EXAMPLE])
    try:
        control_plane.run_kubectl(["wait", "--for=condition=Ready", "executionengine/argo-workflow", "--timeout=60s"])
        status = eventually(lambda: (found := ended(desk, options))["phase"] == "Succeeded" and found, timeout=60)
    finally:
        control_plane.run_kubectl(["delete", "-f", EXAMPLE])
    workflow = status["workflow"]
    assert set(workflow["spec"]) <= {"arguments", "workflowTemplateRef"}
    assert workflow["metadata"]["labels"]["team"] == "vision"
    assert workflow["metadata"]["annotations"]["example.com/owner"] == "ana"
    # There is no channel, which its record says.
    name = workflow["metadata"]["name"]
    eventually(lambda: [one for one in desk.all("notificationdeliveries") if one["spec"]["execution"]["name"] == name])
