"""A CronJob with a dangling reference starts nothing, and somebody is notified."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GROUP
from support.waiting import eventually

from .conftest import Controller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.local import LocalOperator
    from support.services import WebhookReceiver

    from .conftest import Office

pytestmark = [pytest.mark.e2e, pytest.mark.long]

HOOK = {"phases": ["FAILED"], "webhook": {}}


@pytest.fixture
def controller(operator: LocalOperator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A controller that resyncs every second."""
    log = tmp_path_factory.mktemp("controller") / "log"
    running = Controller(operator.logs / "controller.kubeconfig", log, None, "--resync", "1", "--log-format", "json")
    yield running.active()
    running.process.terminate()
    assert running.process.wait(60) == 0, running.log.read_text()


def lines(controller: Controller) -> list[dict[str, Any]]:
    return [json.loads(line) for line in controller.log.read_text().splitlines()]


def dangling(controller: Controller) -> str:
    """The gauge of dangling references of CronJobs."""
    port = next(line["message"].rsplit(" ", 1)[1] for line in lines(controller) if "metrics on port" in line["message"])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        metrics = page.read().decode()
    found = [line for line in metrics.splitlines() if line.startswith("execution_options_dangling_references{")]
    return next((line.rsplit(" ", 1)[1] for line in found if 'kind="CronJob"' in line), "")


def cron_job(office: Office, name: str, reference: str, *, suspend: bool = False) -> None:
    pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}
    spec = {"schedule": "* * * * *", "suspend": suspend, "jobTemplate": {"spec": {"template": pods}}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "spec": spec}
    metadata = {"name": name, "annotations": {f"{GROUP}/options": reference}}
    office.team.create({**body, "metadata": metadata})


def test_a_dangling_cron_job_is_notified_once_and_resolved(
    office: Office, receiver: WebhookReceiver, controller: Controller, operator: LocalOperator
) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.team.options("o", {"notifications": [HOOK]})
    cron_job(office, "fine", "o")
    cron_job(office, "paused", "gone", suspend=True)
    eventually(lambda: dangling(controller) == "0.0")
    cron_job(office, "nightly", "o,gone")
    delivery = office.delivery("nightly")
    assert delivery["spec"]["execution"]["kind"] == "CronJob"
    (request,) = receiver.received
    data = request.json["data"]
    assert (data["phase"], data["kind"], data["name"]) == ("FAILED", "CronJob", "nightly")
    assert "ExecutionOptions gone in its namespace" in data["text"]
    event = eventually(
        lambda: [line for line in office.team.kubectl("get", "events").splitlines() if "Missing" in line]
    )
    assert "OptionsMissing" in event[0]
    assert "cronjob/nightly" in event[0].lower()
    assert dangling(controller) == "1.0"
    # The cluster's own controller is refused what the CronJob would start.
    eventually(lambda: "FailedCreate" in office.team.kubectl("get", "events"), timeout=90)
    with urllib.request.urlopen(operator.url("webhook", "/metrics"), timeout=5) as page:
        assert 'execution_options_refusals_total{engine="job",reason="OptionsMissing"}' in page.read().decode()
    assert len(receiver.received) == 1
    refusals = [line for line in lines(controller) if "nightly starts is refused" in line["message"]]
    assert len(refusals) == 1
    office.team.options("gone", {})
    eventually(lambda: dangling(controller) == "0.0")
