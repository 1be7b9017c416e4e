"""A team whose executions pass the webhook, and the webhook's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.logs import scanned
from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator


@pytest.fixture(autouse=True)
def tolerated(webhook: LocalOperator) -> Iterator[list[str]]:
    """Patterns of warnings that a test provokes; any other fails it."""
    with scanned(webhook) as patterns:
        yield patterns


@pytest.fixture
def team(control_plane: Cluster, namespace: str, tolerated: list[str]) -> Iterator[Team]:
    """A namespace of one's own."""
    with working(control_plane, namespace) as team:
        yield team
