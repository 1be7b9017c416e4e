"""The whole operator with every engine's kind, and namespaces in which stories are played."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.engines.profile import builtin
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support.enginekinds import install_kinds
from support.executions import EXAMPLE
from support.fuzz.playground import Playground
from support.fuzz.stories import KINDS
from support.fuzz.values import Schemas
from support.team import working
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.apiserver import ApiServer
    from support.enginekinds import Kind


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    """Both processes, in a hurry."""
    kinds: list[Kind] = []
    for engine in builtin():
        kinds += [*([engine] if "." in engine.group else []), *engine.specifications]
    install_kinds(control_plane, kinds)
    arguments = ("--status-interval", "0.3", "--send-timeout", "2")
    files = [str(EXAMPLE / f"{name}.yaml") for name in ("definition", "rights", "engine")]
    with LocalOperator(control_plane.kubeconfig, control_plane.context, controller=arguments) as operator:
        for file in files:
            control_plane.run_kubectl(["apply", "-f", file])
        control_plane.run_kubectl(["wait", "--for=condition=Ready", "--timeout=110s", "executionengine/backup"])
        yield operator
        for file in reversed(files):
            control_plane.run_kubectl(["delete", "-f", file])


@pytest.fixture(scope="module")
def schemas(api_server: ApiServer, operator: LocalOperator) -> Schemas:
    """What the API server says of every kind that stories are about."""
    versions = {kind.api_version for kind in KINDS.values()} | {"autoscaling/v1"}
    paths = [f"{'apis' if '/' in version else 'api'}/{version}" for version in sorted(versions)]

    def published() -> Schemas:
        documents = {path: api_server.get(f"/openapi/v3/{path}") for path in paths}
        found = Schemas(documents)
        for kind in KINDS.values():
            found.of(kind.api_version, kind.kind)
        return found

    return eventually(published, timeout=120, interval=0.5)


@pytest.fixture(scope="module")
def playground(control_plane: Cluster, api_server: ApiServer, operator: LocalOperator) -> Iterator[Playground]:
    """A namespace for stories, and one that has nothing to do with them."""
    names = [f"fuzz-{time.time_ns():x}", f"canary-{time.time_ns():x}"]
    for name in names:
        made: dict[str, Any] = api_server.post("/api/v1/namespaces", {"metadata": {"name": name}})
        assert made["kind"] == "Namespace", made
        accounts = path_of("", "v1", "serviceaccounts", name)
        eventually(lambda path=accounts: api_server.get(path)["items"], timeout=150)
    with working(control_plane, names[0]) as team, working(control_plane, names[1]) as canary:
        yield Playground(operator, team, canary)
    for name in names:
        api_server.delete(f"/api/v1/namespaces/{name}")
