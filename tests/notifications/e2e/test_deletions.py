"""Executions that are deleted before, at and after their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GROUP, NOTIFICATIONS_FINALIZER
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import path_of
from support.enginekinds import install_kinds
from support.waiting import eventually

from .conftest import MERGE, Controller, Office

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.local import LocalOperator
    from support.services import WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.long]

EVERY_END = {"phases": ["SUCCEEDED", "FAILED", "ABORTED"], "webhook": {}}
MOST_ANNOTATIONS = 256 * 1024
"""https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go"""
MANY = 200


@pytest.fixture(scope="module", autouse=True)
def controller(operator: LocalOperator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """One controller for all tests of this module."""
    running = Controller(operator.logs / "controller.kubeconfig", tmp_path_factory.mktemp("controller") / "log")
    yield running.active()
    running.process.terminate()
    assert running.process.wait(60) == 0, running.log.read_text()
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(autouse=True)
def hook(office: Office, receiver: WebhookReceiver) -> None:
    """A channel that every end can be sent by."""
    office.channel("hook", webhook={"url": receiver.url})


def recorded_phases(office: Office) -> dict[str, list[str]]:
    """The phases that were recorded, by name of the execution."""
    found: dict[str, list[str]] = {}
    for delivery in office.deliveries():
        found.setdefault(delivery["spec"]["execution"]["name"], []).append(delivery["spec"]["phase"])
    return found


def pod(name: str, **annotations: str) -> dict[str, Any]:
    all_annotations = {
        f"{GROUP}/options": "o",
        **{f"sim.execution.dev/{key}": value for key, value in annotations.items()},
    }
    spec = {"restartPolicy": "Never", "containers": [{"name": "base", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": all_annotations}, "spec": spec}


def job(name: str, **more: Any) -> dict[str, Any]:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}
    body = {"template": {"spec": spec}, "managedBy": "example.com/test", **more}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def delete(office: Office, kind: str, name: str, policy: str = "Background") -> None:
    office.team.request("DELETE", f"{office.team.path(kind, name)}?propagationPolicy={policy}")


@pytest.mark.parametrize("guarantee", ["Observed", "Held"])
def test_an_ended_pod_is_notified_once_whoever_deletes_it(office: Office, guarantee: str) -> None:
    office.options(EVERY_END, notificationGuarantee=guarantee)
    names = [f"task-{number}" for number in range(8)]
    for name in names:
        office.team.create(pod(name, duration="1s", outcome="fail"))
    for number, name in enumerate(names):
        eventually(lambda name=name: office.team.get("Pod", name)["status"].get("phase") == "Failed")
        if number % 2:
            # Some are deleted at once, and others after their notification.
            office.delivery(name)
        delete(office, "Pod", name)
    eventually(lambda: office.team.listed("Pod") == [])
    # The last notification comes after any that these pods could still cause.
    office.team.create(pod("last", duration="1s"))
    office.delivery("last")
    assert recorded_phases(office) == {name: ["FAILED"] for name in names} | {"last": ["SUCCEEDED"]}


@pytest.mark.parametrize("guarantee", ["Observed", "Held"])
@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_an_execution_that_is_deleted_before_its_end_is_aborted(office: Office, guarantee: str, policy: str) -> None:
    office.options(EVERY_END, notificationGuarantee=guarantee)
    office.team.create(job("train"))
    delete(office, "Job", "train", policy)
    office.delivery("train")
    eventually(lambda: office.team.listed("Job") == [])
    assert recorded_phases(office) == {"train": ["ABORTED"]}


RAY = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "train", "finalizers": ["ray.io/rayjob-finalizer"]},
    "spec": {"entrypoint": "python train.py", "clusterSelector": {"ray.io/cluster": "shared"}},
}
SPARK = {
    "apiVersion": "sparkoperator.k8s.io/v1beta2",
    "kind": "SparkApplication",
    "metadata": {"name": "train"},
    "spec": {
        "type": "Python",
        "mode": "cluster",
        "sparkVersion": "4.0.0",
        "mainApplicationFile": "local:///train.py",
        "driver": {"cores": 1},
        "executor": {"cores": 1},
    },
}


@pytest.mark.parametrize("guarantee", ["Observed", "Held"])
@pytest.mark.parametrize(
    ("engine", "manifest", "running"),
    [
        ("rayjob", RAY, {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}),
        ("spark-application", SPARK, {"applicationState": {"state": "RUNNING"}, "driverInfo": {}}),
    ],
    ids=["RayJob", "SparkApplication"],
)
def test_deletion_is_how_users_of_these_engines_cancel(
    office: Office, engine: str, manifest: dict[str, Any], running: dict[str, Any], guarantee: str
) -> None:
    kind = builtin_engines()[engine]
    install_kinds(office.team.cluster, [kind])
    path = path_of(kind.group, kind.version, kind.plural, office.team.namespace)
    office.options(EVERY_END, notificationGuarantee=guarantee)
    made = office.team.request("POST", path, manifest)
    assert (NOTIFICATIONS_FINALIZER in made["metadata"].get("finalizers", [])) is (guarantee == "Held")
    office.team.request("PATCH", f"{path}/train/status", {"status": running}, MERGE)
    office.team.request("DELETE", f"{path}/train")
    office.delivery("train")
    if engines := manifest["metadata"].get("finalizers"):
        # The engine ends what runs before it lets go.
        eventually(lambda: office.team.request("GET", f"{path}/train")["metadata"]["finalizers"] == engines)
        office.team.request("PATCH", f"{path}/train", {"metadata": {"finalizers": None}}, MERGE)
    eventually(lambda: office.team.request("GET", path)["items"] == [])
    assert recorded_phases(office) == {"train": ["ABORTED"]}


def test_the_phase_of_an_ended_execution_survives_its_deletion(office: Office) -> None:
    office.options(EVERY_END, notificationGuarantee="Held")
    office.team.create(job("train"))
    other = {"finalizers": ["example.com/other", NOTIFICATIONS_FINALIZER]}
    office.team.request("PATCH", office.team.path("Job", "train"), {"metadata": other}, MERGE)
    office.end("train", well=True)
    delete(office, "Job", "train", "Foreground")
    office.delivery("train")
    eventually(lambda: NOTIFICATIONS_FINALIZER not in office.team.get("Job", "train")["metadata"]["finalizers"])
    office.team.request("PATCH", office.team.path("Job", "train"), {"metadata": {"finalizers": []}}, MERGE)
    eventually(lambda: office.team.listed("Job") == [])
    assert recorded_phases(office) == {"train": ["SUCCEEDED"]}


def test_an_execution_without_room_for_the_note_is_notified_once_and_deleted(
    office: Office, receiver: WebhookReceiver
) -> None:
    office.options(EVERY_END, notificationGuarantee="Held")
    body = job("full")
    body["metadata"]["annotations"] = {"example.com/fill": ""}
    annotations = office.team.create(body, dry_run=True)["metadata"]["annotations"]
    taken = sum(len(key) + len(value) for key, value in annotations.items())
    body["metadata"]["annotations"]["example.com/fill"] = "x" * (MOST_ANNOTATIONS - taken - 10)
    office.team.create(body)
    office.end("full")
    office.delivery("full")
    eventually(lambda: "finalizers" not in office.team.get("Job", "full")["metadata"])
    eventually(lambda: "NotificationNotNoted" in office.team.kubectl("get", "events"))
    assert office.note("full") == ""
    delete(office, "Job", "full")
    eventually(lambda: office.team.listed("Job") == [])
    office.team.create(job("last"))
    delete(office, "Job", "last")
    office.delivery("last")
    assert recorded_phases(office) == {"full": ["FAILED"], "last": ["ABORTED"]}
    assert len(receiver.received) == 2


def test_many_held_jobs_that_are_deleted_when_they_end_are_notified_once_and_deleted(office: Office) -> None:
    office.options(EVERY_END, notificationGuarantee="Held")
    expected = {}
    for number in range(MANY):
        well = number % 2 == 0
        body = job(f"gone-{number}", backoffLimit=0, ttlSecondsAfterFinished=0)
        del body["spec"]["managedBy"]
        annotations = {"sim.execution.dev/outcome": "succeed" if well else "fail"}
        body["spec"]["template"]["metadata"] = {"annotations": annotations}
        office.team.create(body)
        expected[f"gone-{number}"] = ["SUCCEEDED" if well else "FAILED"]
    eventually(lambda: office.team.listed("Job") == [], timeout=240)
    assert recorded_phases(office) == expected
