"""The engines' own controllers: built before the first test, each running for the session once a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.cluster import Cluster, ControlPlane
from support.enginecontrollers import ArgoController, JobSetController, TektonController
from support.programs import build_wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.controllerprocess import EngineController

CONTROLLERS: dict[str, type[EngineController]] = {
    "jobset_controller": JobSetController,
    "argo_controller": ArgoController,
    "tekton_controller": TektonController,
}
"""By the fixture that runs it."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the selected tests need."""
    build_wanted(session, {fixture: controller.build for fixture, controller in CONTROLLERS.items()})


def running(
    controller: type[EngineController], cluster: Cluster, factory: pytest.TempPathFactory
) -> Iterator[EngineController]:
    if not isinstance(cluster, ControlPlane):
        pytest.skip("needs the embedded control plane")
    with controller(cluster, factory.mktemp(controller.name)) as process:
        yield process


@pytest.fixture(scope="session")
def jobset_controller(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineController]:
    """JobSet's controller and webhooks, with its CRD."""
    yield from running(JobSetController, control_plane, tmp_path_factory)


@pytest.fixture(scope="session")
def argo_controller(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineController]:
    """Argo Workflows' controller, with its CRDs."""
    yield from running(ArgoController, control_plane, tmp_path_factory)


@pytest.fixture(scope="session")
def tekton_controller(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineController]:
    """Tekton Pipelines' controller, with its CRDs."""
    yield from running(TektonController, control_plane, tmp_path_factory)
