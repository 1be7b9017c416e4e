"""A team whose pods wait for slots, and a count of running pods that is independent of the operator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.engines.profile import builtin
from execution_options.local import LocalOperator
from support.concurrency import Concurrency
from support.enginekinds import install_kinds
from support.logs import scanned
from support.team import Team, working
from support.workloads import controlled_by, pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import Cluster

Manifest = dict[str, Any]
GROUP = "execution.dev/group"
DURATION = "sim.execution.dev/duration"
TEKTON = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"
CARRIED = ("execution.dev/id", "execution.dev/max-parallelism")


def member(name: str, group: str, duration: str = "0.3s", **more: Any) -> Manifest:
    """A bare pod of a group that runs for a while."""
    return pod(name, annotations={GROUP: group, DURATION: duration}, **more)


def group_of(found: Manifest) -> str | None:
    """The group of a bare pod."""
    group: str | None = found["metadata"].get("annotations", {}).get(GROUP)
    return group


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The whole operator."""
    with LocalOperator(
        control_plane.kubeconfig, control_plane.context, controller=("--status-interval", "0.3")
    ) as running:
        yield running


@pytest.fixture
def tolerated(operator: LocalOperator) -> Iterator[list[str]]:
    """Patterns of warnings that a test provokes; any other fails it."""
    with scanned(operator) as patterns:
        yield patterns


@pytest.fixture
def team(control_plane: Cluster, namespace: str, tolerated: list[str]) -> Iterator[Team]:
    """A namespace whose bare pods are executions."""
    with working(control_plane, namespace) as team:
        team.label_namespace(pods="enabled")
        yield team


@pytest.fixture
def counting(control_plane: Cluster, namespace: str) -> Callable[..., Concurrency]:
    """Counts the running pods in the test's namespace, by default for each group."""

    def watched(execution: Callable[[Manifest], str | None] = group_of) -> Concurrency:
        return Concurrency(control_plane, namespace, execution)

    return watched


@pytest.fixture(scope="module")
def runs(control_plane: Cluster) -> None:
    """The kind of Tekton's runs, without Tekton."""
    install_kinds(control_plane, [engine for engine in builtin() if engine.kind == "PipelineRun"])


def run(team: Team, name: str) -> Manifest:
    """A PipelineRun that has the options ``o``."""
    metadata = {"name": name, "annotations": {"execution.dev/options": "o"}}
    manifest = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": metadata, "spec": {}}
    made: Manifest = json.loads(team.kubectl("create", "-f", "-", "-o", "json", manifests=[manifest]))
    return made


def start(team: Team, of: Manifest, name: str, labels: dict[str, str] | None = None, **spec: Any) -> str:
    """Create a pod as Tekton's controller does. Returns the output of the API server."""
    carried = {key: of["metadata"]["labels"][key] for key in CARRIED}
    made = pod(name, labels=carried | (labels or {}), annotations={DURATION: "1h"}, **spec)
    owned = controlled_by(made, "tekton.dev/v1", "PipelineRun", of["metadata"]["name"], of["metadata"]["uid"])
    who = (f"--as={TEKTON}", "--as-group=system:masters")
    return team.kubectl("create", "-f", "-", *who, manifests=[owned], check=False)
