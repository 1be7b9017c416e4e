"""Whoever has the role ``edit`` in a namespace can launch there, and a launch costs the API server one write."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options import Options, launch, register
from execution_options.launching import LaunchRefusedError
from support.counting import CountingProxy
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.team import Team

pytestmark = pytest.mark.e2e

OPTIONS = Options(labels={"team": "search"}, max_parallelism=2)


@pytest.fixture
def proxy(team: Team) -> Iterator[CountingProxy]:
    config = yaml.safe_load(team.cluster.kubeconfig.read_text())
    with CountingProxy(config["clusters"][0]["cluster"]["server"]) as proxy:
        yield proxy


@pytest.fixture
def at(team: Team, proxy: CountingProxy, tmp_path: Path) -> dict[str, Any]:
    """The cluster as it is for an account of the team, which may do what the role ``edit`` may."""
    team.kubectl("create", "serviceaccount", "editor")
    team.kubectl("create", "rolebinding", "editor", "--clusterrole=edit", f"--serviceaccount={team.namespace}:editor")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": proxy.url}}],
        "users": [{"name": "editor", "user": {"token": team.kubectl("create", "token", "editor").strip()}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "editor", "namespace": team.namespace}}],
        "current-context": "it",
    }
    file = tmp_path / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
    return {"kubeconfig": file}


def unmanaged() -> dict[str, Any]:
    """A Job that no controller touches."""
    document = job("train")
    document["spec"]["managedBy"] = "example.com/test"
    return document


def test_a_launch_is_one_write_and_no_read(team: Team, proxy: CountingProxy, at: dict[str, Any]) -> None:
    launch(unmanaged(), options=OPTIONS, **at)
    assert proxy.requests == [f"POST /apis/batch/v1/namespaces/{team.namespace}/jobs"]


def test_a_registration_is_one_write_and_no_read(team: Team, proxy: CountingProxy, at: dict[str, Any]) -> None:
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job()["spec"]}}
    plan = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec}
    register(plan, options=OPTIONS, **at)
    assert proxy.requests == [f"PATCH /apis/batch/v1/namespaces/{team.namespace}/cronjobs/nightly"]


def test_it_is_followed_explained_and_aborted(team: Team, at: dict[str, Any]) -> None:
    execution = launch(unmanaged(), options=OPTIONS, **at)
    assert execution.phase() == "QUEUED"
    assert [value for field, value, _ in execution.explain() if field == "labels[team]"] == ["search"]
    later = threading.Timer(0.5, execution.abort)
    later.start()
    assert execution.wait(timeout=60) == "ABORTED"
    later.join()


def test_what_the_role_does_not_allow_is_refused_in_the_api_servers_words(team: Team, at: dict[str, Any]) -> None:
    with pytest.raises(LaunchRefusedError, match='cannot create resource "jobs" in API group "batch" in the namespace'):
        launch(unmanaged(), options=OPTIONS, namespace="default", **at)
