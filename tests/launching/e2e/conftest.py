"""A team whose executions pass the webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.logs import scanned
from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator


@pytest.fixture
def team(control_plane: Cluster, namespace: str, webhook: LocalOperator) -> Iterator[Team]:
    """A namespace of one's own."""
    with scanned(webhook), working(control_plane, namespace) as team:
        yield team
