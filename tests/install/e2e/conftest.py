"""A cluster for installations, which have it one after the other, and programs of others that these work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.api.crd import crds
from execution_options.cluster import ControlPlane
from execution_options.install import UNINSTALLER
from support import helm3, promtool
from support.certmanager import CertManager
from support.programs import build_wanted
from support.rights import audit_policy

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the selected tests need, before the first of them."""
    builders = {"cert_manager": CertManager.build, "promtool": promtool.build}
    if any(helm3.NAME in item.name for item in session.items):
        builders["helm"] = helm3.build
    build_wanted(session, builders)


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster without the operator, unlike that of other folders."""
    policy = audit_policy("options", UNINSTALLER)
    with ControlPlane.start("chart", root=tmp_path_factory.mktemp("clusters"), audit_policy=policy) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: ControlPlane) -> Iterator[ControlPlane]:
    """The same for one test, which uninstalls what it installs; the definitions, which Helm keeps, are deleted here."""
    yield shared
    definitions = [f"crd/{one['metadata']['name']}" for one in crds()]
    shared.run_kubectl(["delete", "--ignore-not-found", *definitions])
