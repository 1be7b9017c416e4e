"""A team whose pods wait for slots, and somebody who counts, apart from the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.local import LocalOperator
from support.concurrency import Concurrency
from support.logs import scanned
from support.team import Team, working
from support.workloads import pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import Cluster

Manifest = dict[str, Any]
GROUP = "execution.dev/group"
DURATION = "sim.execution.dev/duration"


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
    """Counts who runs in the test's namespace, by default by group."""

    def counted(execution: Callable[[Manifest], str | None] = group_of) -> Concurrency:
        return Concurrency(control_plane, namespace, execution)

    return counted
