"""Ended bare pods are never written to: Airflow takes any change of one for the end of its replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.api.names import GROUP, NOTIFICATIONS_FINALIZER
from support.waiting import eventually

from .conftest import MERGE

if TYPE_CHECKING:
    from support.services import WebhookReceiver

    from .conftest import Controllers, Office

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ENDS = {"phases": ["SUCCEEDED", "FAILED", "ABORTED"], "webhook": {}}


@pytest.mark.parametrize("guarantee", ["Observed", "Held"])
def test_an_ended_pod_stays_as_it_is_and_is_notified_once_whoever_restarts_or_deletes_it(
    controllers: Controllers, office: Office, receiver: WebhookReceiver, guarantee: str
) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options(ENDS, notificationGuarantee=guarantee)
    annotations = {f"{GROUP}/options": "o", "sim.execution.dev/duration": "1s", "sim.execution.dev/outcome": "fail"}
    spec = {"restartPolicy": "Never", "containers": [{"name": "base", "image": "none"}]}
    task = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "task", "annotations": annotations}, "spec": spec}
    office.team.create(task)
    eventually(lambda: office.team.get("Pod", "task")["status"].get("phase") == "Failed")
    ended = office.team.get("Pod", "task")
    first = controllers.start_in_place()
    office.delivery("task")
    assert office.deliveries()[0]["spec"]["completes"].startswith("FAILED ")

    # Another channel is the default: what would be recorded anew would have another name.
    office.team.request("PATCH", office.path("notificationchannels", "hook"), {"spec": {"default": False}}, MERGE)
    office.channel("another", webhook={"url": receiver.url})
    first.kill()
    first.died()
    controllers.start_in_place()
    # What is notified last is seen after everything that might have been notified of the first.
    office.team.create({**task, "metadata": {"name": "last", "annotations": annotations}})
    office.delivery("last")
    assert len(office.deliveries("task")) == 1
    now = office.team.get("Pod", "task")
    assert now["metadata"]["resourceVersion"] == ended["metadata"]["resourceVersion"]
    assert (NOTIFICATIONS_FINALIZER in now["metadata"].get("finalizers", [])) is (guarantee == "Held")

    office.team.request("DELETE", office.team.path("Pod", "task"))
    eventually(lambda: [one["metadata"]["name"] for one in office.team.listed("Pod")] == ["last"])
    office.team.create({**task, "metadata": {"name": "after", "annotations": annotations}})
    office.delivery("after")
    assert len(office.deliveries("task")) == 1
    assert len(receiver.received) == 3
