"""Pods run and end as their annotations ask, whoever owns them."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.crds import wait_established
from support.waiting import eventually

if TYPE_CHECKING:
    from execution_options.cluster import Cluster, ControlPlane
    from support.apiserver import ApiServer

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("embedded")]

_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "runs.stages.test"},
    "spec": {
        "group": "stages.test",
        "names": {"kind": "Run", "plural": "runs"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def simulation(**values: str) -> dict[str, str]:
    return {f"sim.execution.dev/{key.replace('_', '-')}": value for key, value in values.items()}


def pod(name: str, *, restart_policy: str = "Never", owner: dict[str, Any] | None = None, **simulated: str) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": simulation(**simulated),
            "ownerReferences": [] if owner is None else [owner],
        },
        "spec": {
            "restartPolicy": restart_policy,
            "terminationGracePeriodSeconds": 0 if restart_policy == "Always" else 30,
            "initContainers": [
                {"name": "init", "image": "none"},
                {"name": "sidecar", "image": "none", "restartPolicy": "Always"},
            ],
            "containers": [{"name": "main", "image": "none"}, {"name": "second", "image": "none"}],
        },
    }


class Namespace:
    """Objects of one namespace."""

    def __init__(self, cluster: Cluster, api_server: ApiServer, name: str) -> None:
        self._cluster, self._api_server, self._name = cluster, api_server, name

    def create(self, manifest: Any) -> Any:
        command = ["create", "-n", self._name, "-f", "-", "-o", "json"]
        return json.loads(self._cluster.run_kubectl(command, input=json.dumps(manifest)).stdout)

    def pod(self, name: str) -> Any:
        return self._api_server.get(f"/api/v1/namespaces/{self._name}/pods/{name}")

    def kubectl(self, *arguments: str) -> str:
        return self._cluster.run_kubectl([*arguments, "-n", self._name]).stdout

    def await_phase(self, name: str, phase: str) -> Any:
        def reached() -> Any:
            found = self.pod(name)
            return found if found["status"].get("phase") == phase else None

        return eventually(reached)


@pytest.fixture
def objects(control_plane: Cluster, api_server: ApiServer, namespace: str) -> Namespace:
    return Namespace(control_plane, api_server, namespace)


def exits(found: Any, statuses: str = "containerStatuses") -> list[tuple[str, int, str]]:
    ended = [(status["name"], status["state"].get("terminated")) for status in found["status"][statuses]]
    return [(name, state["exitCode"], state["reason"]) for name, state in ended if state is not None]


def test_a_bare_pod_succeeds_at_once(objects: Namespace) -> None:
    objects.create(pod("bare"))
    ended = objects.await_phase("bare", "Succeeded")
    assert exits(ended) == [("main", 0, "Completed"), ("second", 0, "Completed")]
    assert exits(ended, "initContainerStatuses") == [("init", 0, "Completed"), ("sidecar", 0, "Completed")]
    assert {one["type"]: one["status"] for one in ended["status"]["conditions"]}["Ready"] == "False"


@pytest.mark.parametrize(("asked", "code"), [({}, 1), ({"exit_code": "137"}, 137)])
def test_a_pod_fails_when_asked(objects: Namespace, asked: dict[str, Any], code: int) -> None:
    objects.create(pod("failing", outcome="fail", **asked))
    assert exits(objects.await_phase("failing", "Failed"))[0] == ("main", code, "Error")


def test_a_duration_passes_before_the_end_however_often_the_pod_changes(objects: Namespace) -> None:
    objects.create(pod("timed", duration="3s"))
    running = objects.await_phase("timed", "Running")
    assert not exits(running)
    assert exits(running, "initContainerStatuses") == [("init", 0, "Completed")]

    def relabel() -> bool:
        objects.kubectl("label", "--overwrite", "pod", "timed", f"now={datetime.datetime.now(datetime.UTC):%H%M%S.%f}")
        return bool(objects.pod("timed")["status"]["phase"] == "Succeeded")

    eventually(relabel, timeout=10)
    main = objects.pod("timed")["status"]["containerStatuses"][0]["state"]["terminated"]
    began, ended = (datetime.datetime.fromisoformat(main[key]) for key in ("startedAt", "finishedAt"))
    assert 2 <= (ended - began).total_seconds() <= 5


@pytest.mark.parametrize("manifest", [pod("kept", outcome="never"), pod("kept", restart_policy="Always")])
def test_a_pod_that_never_ends_runs_until_it_is_told_to(objects: Namespace, manifest: Any) -> None:
    objects.create(manifest)
    objects.create(pod("later", duration="1s"))
    objects.await_phase("kept", "Running")
    objects.await_phase("later", "Succeeded")
    assert objects.pod("kept")["status"]["phase"] == "Running"
    objects.kubectl("annotate", "--overwrite", "pod", "kept", "sim.execution.dev/outcome=succeed")
    objects.await_phase("kept", "Succeeded")


def test_a_deleted_pod_goes(objects: Namespace) -> None:
    objects.create(pod("doomed", outcome="never"))
    objects.await_phase("doomed", "Running")
    objects.kubectl("delete", "pod", "doomed", "--timeout=20s")
    assert objects.kubectl("get", "pods", "-o", "name") == ""


def test_a_pod_of_a_custom_object_ends_and_goes_with_its_owner(objects: Namespace, embedded: ControlPlane) -> None:
    embedded.run_kubectl(["apply", "-f", "-"], input=json.dumps(_CRD))
    wait_established(embedded, ["runs.stages.test"])
    run = {"apiVersion": "stages.test/v1", "kind": "Run", "metadata": {"name": "run"}}
    owner = {key: run[key] for key in ("apiVersion", "kind")} | {"name": "run", "controller": True}
    owner["uid"] = objects.create(run)["metadata"]["uid"]
    objects.create(pod("part", owner=owner))
    objects.create(pod("long-part", owner=owner, outcome="never"))
    objects.await_phase("part", "Succeeded")
    objects.await_phase("long-part", "Running")
    objects.kubectl("delete", "runs.stages.test", "run")
    eventually(lambda: objects.kubectl("get", "pods", "-o", "name") == "", timeout=60)


@pytest.mark.parametrize(
    ("outcome", "condition"), [("succeed", "Complete"), ("fail", "Failed")], ids=["complete", "failed"]
)
def test_a_job_ends_as_its_pods_do(objects: Namespace, outcome: str, condition: str) -> None:
    template = {
        "metadata": {"annotations": simulation(outcome=outcome)},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
    }
    spec = {"completions": 3, "parallelism": 3, "backoffLimit": 0, "template": template}
    objects.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec})
    objects.kubectl("wait", "job/job", f"--for=condition={condition}", "--timeout=60s")
