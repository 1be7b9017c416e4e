"""A team whose executions pass the webhook, and the command line for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.commands import Answer, called
from support.logs import scanned
from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator


@pytest.fixture
def team(control_plane: Cluster, namespace: str, webhook: LocalOperator) -> Iterator[Team]:
    """A namespace of one's own."""
    with scanned(webhook), working(control_plane, namespace) as team:
        yield team


@pytest.fixture
def cli(team: Team) -> Callable[..., Answer]:
    """Runs a command in the team's namespace."""

    def run(*arguments: str, manifests: list[dict[str, Any]] | str = "") -> Answer:
        return called(*arguments, "-n", team.namespace, kubeconfig=team.cluster.kubeconfig, manifests=manifests)

    return run
