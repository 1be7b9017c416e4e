"""A message about a failure says which pod failed first, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.waiting import eventually

from .conftest import MERGE, Controller, Office, exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.local import LocalOperator
    from support.services import WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
def controller(operator: LocalOperator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """One controller for all tests of this module, of a cluster with a name."""
    log = tmp_path_factory.mktemp("controller") / "log"
    running = Controller(operator.logs / "controller.kubeconfig", log, None, "--cluster-name", "prod-eu")
    yield running.active()
    running.process.terminate()
    assert running.process.wait(60) == 0, running.log.read_text()
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(autouse=True)
def hook(office: Office, receiver: WebhookReceiver) -> None:
    """A channel by which failures are sent."""
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["FAILED", "TIMED_OUT", "ABORTED"], "webhook": {}})


def pods_of(office: Office, name: str, number: int, **spec: Any) -> list[str]:
    """Create a Job with pods that run until the test ends them. Returns their names."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "base", "image": "none"}]}
    template = {"metadata": {"annotations": {"sim.execution.dev/outcome": "never"}}, "spec": pod}
    body = {"backoffLimit": 0, "parallelism": number, "completions": number, "template": template} | spec
    office.team.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body})

    def found() -> list[str]:
        names = [pod["metadata"]["name"] for pod in office.team.listed("Pod")]
        return [one for one in names if one.startswith(f"{name}-")]

    return eventually(lambda: pods if len(pods := found()) == number else [])


def event_of(office: Office, name: str) -> dict[str, Any]:
    """The CloudEvent that was recorded for a Job, once it was delivered."""
    event: dict[str, Any] = json.loads(office.delivery(name)["spec"]["message"]["payload"])
    return event


def test_of_a_run_of_many_pods_the_first_that_failed_is_named(office: Office) -> None:
    first, *_ = pods_of(office, "sweep", 4)
    exits(office, first, code=137, reason="OOMKilled", message="batch 512 does not fit")

    event = event_of(office, "sweep")
    assert event["source"] == f"/clusters/prod-eu/apis/batch/v1/namespaces/{office.namespace}/Job"
    assert event["data"]["subject"] == "[prod-eu] sweep failed: OOMKilled"
    cause = event["data"]["cause"]
    assert cause | {"failed": 1, "pods": 4} == {
        "text": f"OOMKilled in container base of pod {first} (exit code 137)",
        "pod": first,
        "container": "base",
        "reason": "OOMKilled",
        "exitCode": 137,
        "message": "batch 512 does not fit",
        "failed": 1,
        "pods": 4,
        "logs": f"kubectl logs -n {office.namespace} {first} -c base",
    }
    # The others were ended by their deletion, which is no failure of theirs.
    assert (cause["failed"], cause["pods"]) == (1, 4)


def test_a_pod_that_could_not_start_is_the_cause_of_a_time_out(office: Office) -> None:
    (pod,) = pods_of(office, "late", 1, activeDeadlineSeconds=5)
    eventually(lambda: office.team.get("Pod", pod)["status"].get("phase") == "Running")
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "none"'}
    container = {"name": "base", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    status = {"containerStatuses": [container | {"state": {"waiting": waiting}}]}
    office.team.request("PATCH", office.team.path("Pod", pod) + "/status", {"status": status}, MERGE)

    data = event_of(office, "late")["data"]
    assert data["phase"] == "TIMED_OUT"
    assert (data["cause"]["reason"], data["cause"]["pod"], data["cause"]["logs"]) == ("ImagePullBackOff", pod, "")


def test_an_execution_that_was_deleted_did_not_fail(office: Office) -> None:
    (pod,) = pods_of(office, "gone", 1)
    eventually(lambda: office.team.get("Pod", pod)["status"].get("phase") == "Running")
    office.team.kubectl("delete", "job", "gone")
    data = event_of(office, "gone")["data"]
    assert (data["phase"], data["cause"]) == ("ABORTED", None)
