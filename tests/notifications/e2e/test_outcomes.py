"""Ends that are notified with the phase that the program reports, not with that of its exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GROUP
from support.waiting import eventually

from .conftest import Controller, Office, exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.local import LocalOperator
    from support.services import WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.long]

EVERY_END = {"phases": ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"], "webhook": {}}
RUNNING = {f"{GROUP}/options": "o", "sim.execution.dev/outcome": "never"}
AIRFLOW = {"kubernetes_executor": "True", "dag_id": "sensor"}


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


def pod(office: Office, name: str, **labels: str) -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "base", "image": "none"}]}
    metadata = {"name": name, "annotations": RUNNING, "labels": labels}
    office.team.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def job(office: Office, name: str, **labels: str) -> str:
    """Create a Job with one pod. Returns the pod's name."""
    spec = {"restartPolicy": "Never", "containers": [{"name": "base", "image": "none"}]}
    template = {"metadata": {"annotations": {"sim.execution.dev/outcome": "never"}}, "spec": spec}
    metadata = {"name": name, "labels": labels}
    body = {"backoffLimit": 0, "template": template}
    office.team.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": body})
    pods = eventually(lambda: [p for p in office.team.listed("Pod") if p["metadata"]["name"].startswith(f"{name}-")])
    return str(pods[0]["metadata"]["name"])


def outcome(phase: str, message: str) -> str:
    return json.dumps({f"{GROUP}/phase": phase, "message": message})


def recorded_phases(office: Office) -> dict[str, str]:
    """The one phase that was recorded, by name of the execution."""
    found = [(one["spec"]["execution"]["name"], one["spec"]["phase"]) for one in office.deliveries()]
    assert len(found) == len(dict(found))
    return dict(found)


def effective(office: Office) -> dict[str, Any]:
    """The condition of the options."""
    conditions = office.team.get("ExecutionOptions", "o").get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "FullyEffective"), {})


def test_a_pod_and_a_job_end_as_their_program_reports(office: Office, receiver: WebhookReceiver) -> None:
    office.options(EVERY_END)
    for name in ("late", "broke", "fine"):
        pod(office, name)
    of_job = job(office, "train")
    exits(office, "late", message=outcome("TIMED_OUT", "waited for a file"))
    exits(office, "broke", code=1, message=outcome("SUCCEEDED", "so it thinks"))
    exits(office, "fine", message="done")
    exits(office, of_job, message=outcome("FAILED", "no such table"))
    for name in ("late", "broke", "fine", "train"):
        office.delivery(name)
    assert recorded_phases(office) == {"late": "TIMED_OUT", "broke": "FAILED", "fine": "SUCCEEDED", "train": "FAILED"}
    assert "no such table" in json.dumps(office.delivery("train")["spec"]["message"])
    assert effective(office)["status"] == "True"


def test_an_invalid_outcome_is_reported(office: Office) -> None:
    office.options(EVERY_END)
    pod(office, "typo")
    exits(office, "typo", message=outcome("FAILLED", ""))
    office.delivery("typo")
    assert recorded_phases(office) == {"typo": "SUCCEEDED"}
    events = eventually(lambda: found if "OutcomeInvalid" in (found := office.team.kubectl("get", "events")) else "")
    assert "did you mean FAILED?" in events


def test_an_unknown_success_is_not_notified_and_a_failure_is(office: Office) -> None:
    office.options(EVERY_END)
    for name in ("waits", "lost"):
        pod(office, name, **AIRFLOW)
    exits(office, "waits")
    condition = eventually(lambda: found if (found := effective(office)).get("reason") == "OutcomeUnknown" else {})
    assert condition["status"] == "False"
    assert "Pods such as waits" in condition["message"]
    assert "execution-options[airflow]" in condition["message"]
    exits(office, "lost", code=137)
    office.delivery("lost")
    assert recorded_phases(office) == {"lost": "FAILED"}

    pod(office, "says", **AIRFLOW)
    exits(office, "says", message=outcome("FAILED", "no such table"))
    office.delivery("says")
    assert recorded_phases(office) == {"lost": "FAILED", "says": "FAILED"}
    eventually(lambda: effective(office).get("status") == "True")


def test_the_same_holds_for_a_run_that_is_a_job(office: Office) -> None:
    office.options(EVERY_END)
    exits(office, job(office, "silent", **{"dagster/run-id": "r1"}))
    condition = eventually(lambda: found if (found := effective(office)).get("reason") == "OutcomeUnknown" else {})
    assert "Jobs such as silent" in condition["message"]
    exits(office, job(office, "says", **{"prefect.io/flow-run-id": "f1"}), message=outcome("ABORTED", "cancelled"))
    office.delivery("says")
    assert recorded_phases(office) == {"says": "ABORTED"}
