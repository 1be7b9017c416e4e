"""Fixtures that every test may use: a cluster, and a namespace of one's own in it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from execution_options.cluster import Cluster, ClusterError, ControlPlane, NamedCluster
from execution_options.cluster.binaries import locate
from execution_options.cluster.progress import Progress
from execution_options.local import LocalOperator
from support.crds import install_crds
from support.rights import AUDIT_POLICY
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


_PARTIAL = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "the cluster of end-to-end tests (by default an embedded control plane)")
    group.addoption("--kubeconfig", type=Path, help="use the cluster of this kubeconfig")
    group.addoption("--context", help="use this context of the kubeconfig")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back on the whole session comes last."""
    items.sort(key=lambda item: item.get_closest_marker("looks_back") is not None)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember whether end-to-end tests were left out."""
    if items and any(i.get_closest_marker("e2e") and not i.get_closest_marker("engines") for i in items):
        items[0].config.stash[_PARTIAL] = True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the control plane before the first test that needs it: it takes longer than a test may."""
    config = session.config
    selected = any(item.get_closest_marker("e2e") for item in session.items)
    if selected and not config.option.collectonly:
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            try:
                locate(Progress())
            except ClusterError as error:
                pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of this test session: embedded, unless --kubeconfig or --context names another.

    The embedded one ends with the test process, even if that is killed.
    """
    kubeconfig, context = request.config.getoption("--kubeconfig"), request.config.getoption("--context")
    if kubeconfig is not None or context is not None:
        named, programs = NamedCluster(kubeconfig, context), locate(Progress()).paths
        named.kubectl = named.kubectl or programs["kubectl"]
        named.helm = named.helm or programs.get("helm")
        yield named
        return
    with ControlPlane.start("test", root=tmp_path_factory.mktemp("clusters"), audit_policy=AUDIT_POLICY) as cluster:
        yield cluster


@pytest.fixture
def whole_suite(pytestconfig: pytest.Config) -> bool:
    """Whether all end-to-end tests run in this session, but perhaps for those of the engines' own controllers."""
    everywhere = pytestconfig.args_source is pytest.Config.ArgsSource.TESTPATHS
    return everywhere and not pytestconfig.stash.get(_PARTIAL, False)


@pytest.fixture
def embedded(control_plane: Cluster) -> ControlPlane:
    """The embedded control plane, for tests that kill its components; skips where the user named a cluster."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("needs the embedded control plane")
    return control_plane


@pytest.fixture(scope="session")
def crds(control_plane: Cluster) -> None:
    """Our CustomResourceDefinitions, installed."""
    install_crds(control_plane)


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A fresh namespace in which pods can be created; deleted afterwards, without waiting for that."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    control_plane.run_kubectl(["create", "namespace", name])
    # Admission refuses pods until the controller manager has created the service account they default to.
    eventually(
        lambda: json.loads(control_plane.run_kubectl(["get", "serviceaccounts", "-n", name, "-o", "json"]).stdout)[
            "items"
        ]
    )
    yield name
    control_plane.run_kubectl(["delete", "namespace", name, "--wait=false"])


@pytest.fixture(scope="module")
def webhook(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The admission webhook, without the controller, in front of the session's cluster.

    For one module at a time: other tests create executions past any webhook. Put more ``processes`` there for
    tests of the whole operator.
    """
    with LocalOperator(control_plane.kubeconfig, control_plane.context, processes=("webhook",)) as operator:
        yield operator
