"""A team whose executions pass the webhook, the webhook's log, and webhooks of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.cluster import Cluster, ControlPlane
from support.logs import scanned
from support.peers import Kueue, TektonWebhook
from support.programs import build_wanted
from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.local import LocalOperator
    from support.controllerprocess import EngineController


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the selected tests need."""
    build_wanted(session, {"kueue": Kueue.build, "tekton_webhook": TektonWebhook.build})


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


def running(other: type[EngineController], cluster: Cluster, factory: pytest.TempPathFactory) -> Iterator[None]:
    if not isinstance(cluster, ControlPlane):
        pytest.skip("needs the embedded control plane")
    with other(cluster, factory.mktemp(other.name)):
        yield


@pytest.fixture(scope="module")
def kueue(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Kueue, with its webhooks."""
    yield from running(Kueue, control_plane, tmp_path_factory)


@pytest.fixture(scope="module")
def tekton_webhook(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tekton's webhook, with its CRDs."""
    yield from running(TektonWebhook, control_plane, tmp_path_factory)
