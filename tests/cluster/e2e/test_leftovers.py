"""Tests share a control plane: none leaves the next one's operator anything to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import API_VERSION, GROUP, NOTIFICATIONS_FINALIZER, VERSION
from execution_options.kube.client import path_of
from support.leftovers import remove
from support.waiting import eventually
from support.workloads import job, pod

if TYPE_CHECKING:
    from support.apiserver import ApiServer

pytestmark = pytest.mark.e2e


def test_what_an_operator_would_act_on_goes_with_the_namespace_of_a_test(
    api_server: ApiServer, namespace: str, crds: None
) -> None:
    forever = {"sim.execution.dev/outcome": "never"}
    run = job("run", template={"annotations": forever})
    held = job("held", spec={"managedBy": "example.com/test"})
    held["metadata"]["finalizers"] = [NOTIFICATIONS_FINALIZER]
    schedule: dict[str, Any] = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": run["spec"]}}
    options = {"apiVersion": API_VERSION, "kind": "ExecutionOptions", "metadata": {"name": "o"}, "spec": {}}
    paths = {
        name: path_of(*kind, namespace)
        for name, kind in {
            "jobs": ("batch", "v1", "jobs"),
            "cronjobs": ("batch", "v1", "cronjobs"),
            "pods": ("", "v1", "pods"),
            "options": (GROUP, VERSION, "executionoptions"),
        }.items()
    }
    for plural, body in (
        ("jobs", run),
        ("jobs", held),
        ("pods", pod("alone", annotations=forever)),
        ("cronjobs", {"metadata": {"name": "nightly"}, "spec": schedule}),
        ("options", options),
    ):
        assert api_server.post(paths[plural], body).get("status") != "Failure"
    eventually(lambda: len(api_server.get(paths["pods"])["items"]) == 2)

    remove(api_server, namespace)
    assert [item for path in paths.values() for item in api_server.get(path)["items"]] == []
    refused = api_server.post(paths["pods"], pod("late"))
    assert "being terminated" in refused["message"]
