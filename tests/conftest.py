"""Fixtures that every test may use: a cluster, and a namespace of one's own in it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from execution_options.cluster import Cluster, ClusterError, ControlPlane, NamedCluster
from execution_options.cluster.binaries import locate, locate_helm
from execution_options.cluster.progress import Progress
from execution_options.local import LocalOperator
from support.apiserver import ApiServer
from support.crds import install_crds
from support.executions import every_engine
from support.leftovers import remove
from support.rights import AUDIT_POLICY
from support.waiting import eventually
from support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xdist.workermanage import WorkerController


_PARTIAL = pytest.StashKey[bool]()
_WORKER = pytest.StashKey[Worker]()
_MOST_WORKERS = 4
"""Each has a control plane; more would be idle while the longest file runs."""
_OTHERS_SECONDS = 600.0

# A busy machine is no failure, so an example of Hypothesis has no deadline.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "the cluster of end-to-end tests (by default an embedded control plane)")
    group.addoption("--kubeconfig", type=Path, help="use the cluster of this kubeconfig")
    group.addoption("--context", help="use this context of the kubeconfig")
    group.addoption("--fuzz-minutes", type=float, default=0, help="play new stories for so long, not the usual ones")
    group.addoption("--fuzz-seed", type=int, default=0, help="where these begin")
    group.addoption("--story", type=Path, help="play the story of this file alone")
    group.addoption("--full-size", action="store_true", help="thousands of pods where a few dozen are enough otherwise")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """``-n auto``: a worker for each core; one process where tests would share a cluster that the user named."""
    if _named(config):
        return 0
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    if _named(config) and config.getoption("numprocesses", 0):
        raise pytest.UsageError("tests share a cluster that is named, so they cannot run side by side: leave out -n")


def _named(config: pytest.Config) -> bool:
    return config.getoption("--kubeconfig") is not None or config.getoption("--context") is not None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of the workers of one run, each can tell whether the others still run tests."""
    if hasattr(session.config, "workerinput"):
        own = Path(session.config.option.basetemp)
        folder = own.with_name(f"worker-{own.name}")  # its own is emptied when it is first used
        folder.mkdir()
        session.config.stash[_WORKER] = worker = Worker(folder)
        worker.begin()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if worker := session.config.stash.get(_WORKER, None):
        worker.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back on the whole run comes last; what takes long begins early, so that workers end together."""
    items.sort(key=lambda item: (_marked(item, "looks_back"), not _marked(item, "long")))


def _marked(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember whether end-to-end tests were left out."""
    if items and any(_marked(item, "e2e") and not _marked(item, "engines") for item in items):
        items[0].config.stash[_PARTIAL] = True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the control plane before the first test that needs it: it takes longer than a test may."""
    config = session.config
    selected = any(_marked(item, "e2e") for item in session.items)
    if selected and not config.option.collectonly and not hasattr(config, "workerinput"):
        _build(config)


def pytest_xdist_node_collection_finished(node: WorkerController, ids: Sequence[str]) -> None:
    """Build it before the workers begin, here where it can be seen, and said why it cannot be."""
    if any("/e2e/" in test for test in ids):
        _build(node.config)


def _build(config: pytest.Config) -> None:
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        try:
            locate(Progress())
            locate_helm(Progress())
        except ClusterError as error:
            pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of this test session: embedded, unless --kubeconfig or --context names another.

    Where the run is split over workers, each has one. The embedded one ends with its test process, even if that is
    killed.
    """
    kubeconfig, context = request.config.getoption("--kubeconfig"), request.config.getoption("--context")
    if _named(request.config):
        named, programs = NamedCluster(kubeconfig, context), locate(Progress()).paths
        named.kubectl = named.kubectl or programs["kubectl"]
        named.helm = named.helm or locate_helm(Progress())
        yield named
        return
    with ControlPlane.start("test", root=tmp_path_factory.mktemp("clusters"), audit_policy=AUDIT_POLICY) as cluster:
        yield cluster
        if worker := request.config.stash.get(_WORKER, None):
            worker.leave(cluster.audit_log)


@pytest.fixture
def audit_logs(embedded: ControlPlane, pytestconfig: pytest.Config) -> list[Path]:
    """What API servers were asked by the operator: all those of this run, whose other tests have ended."""
    worker = pytestconfig.stash.get(_WORKER, None)
    return [embedded.audit_log, *(worker.audit_logs_of_others(_OTHERS_SECONDS) if worker else ())]


@pytest.fixture
def whole_suite(pytestconfig: pytest.Config) -> bool:
    """Whether all end-to-end tests run in this session, but perhaps for those of the engines' own controllers."""
    everywhere = pytestconfig.args_source is pytest.Config.ArgsSource.TESTPATHS
    return everywhere and not pytestconfig.stash.get(_PARTIAL, False)


@pytest.fixture(scope="session")
def full_size(pytestconfig: pytest.Config) -> bool:
    """Whether to test with as many objects as a large cluster has, however long that takes."""
    return bool(pytestconfig.getoption("--full-size"))


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


@pytest.fixture(scope="session")
def api_server(control_plane: Cluster) -> Iterator[ApiServer]:
    """Its API server, for requests in which kubectl is not the subject."""
    server = ApiServer(control_plane)
    yield server
    server.close()


@pytest.fixture
def namespace(api_server: ApiServer) -> Iterator[str]:
    """A fresh namespace in which pods can be created; deleted afterwards, with all that an operator would act on."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    made = api_server.post("/api/v1/namespaces", {"metadata": {"name": name}})
    assert made["kind"] == "Namespace", made
    # Admission refuses pods until the controller manager has created the service account they default to. Where tests
    # restarted the API server before, its watches come back after a pause that has grown to a minute.
    eventually(lambda: api_server.get(f"/api/v1/namespaces/{name}/serviceaccounts")["items"], timeout=150)
    yield name
    remove(api_server, name)


@pytest.fixture(scope="module")
def webhook(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The admission webhook, without the controller, in front of the session's cluster.

    For one module at a time: other tests create executions past any webhook. Put more ``processes`` there for
    tests of the whole operator.
    """
    with LocalOperator(control_plane.kubeconfig, control_plane.context, processes=("webhook",)) as operator:
        yield operator


@pytest.fixture(scope="module")
def engines_cluster(control_plane: Cluster) -> Iterator[Cluster]:
    """The cluster with every engine's kind, and the engine of the example."""
    with every_engine(control_plane):
        yield control_plane
