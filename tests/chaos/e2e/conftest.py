"""The whole operator, and a team that works while it is disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.local import LocalOperator
from support.logs import scanned
from support.team import Team, working
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    """Both processes, for the tests of a module."""
    arguments = ("--lease-duration", "15", "--status-interval", "0.3")
    with LocalOperator(control_plane.kubeconfig, control_plane.context, controller=arguments) as operator:
        yield operator


@pytest.fixture
def tolerated(operator: LocalOperator) -> Iterator[list[str]]:
    """Patterns of warnings and errors that a test provokes; any other fails it."""
    with scanned(operator) as patterns:
        yield patterns


@pytest.fixture
def team(control_plane: Cluster, namespace: str, tolerated: list[str]) -> Iterator[Team]:
    """A namespace of one's own."""
    with working(control_plane, namespace) as team:
        yield team


@pytest.fixture
def prepared(team: Team) -> Team:
    """With options, and an execution that follows them."""
    team.options("own", {"labels": {"a": "0"}})
    team.create(job("living", options="own", spec={"suspend": True}))
    return team
