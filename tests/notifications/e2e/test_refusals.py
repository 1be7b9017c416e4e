"""The API server refuses to record a notification: nothing is held for ever, and what was lost is visible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import NOTIFICATIONS_FINALIZER
from execution_options.kube.client import path_of
from support.waiting import eventually

from .conftest import state

if TYPE_CHECKING:
    from support.services import WebhookReceiver

    from .conftest import Controllers, Office

pytestmark = pytest.mark.e2e

PATIENCE = 4.0


def condition(office: Office) -> dict[str, Any]:
    status = office.team.get("ExecutionOptions", "o").get("status", {})
    found = [one for one in status.get("conditions", ()) if one["type"] == "NotificationsRecorded"]
    return found[0] if found else {}


def is_held(office: Office, name: str) -> bool:
    return NOTIFICATIONS_FINALIZER in office.team.get("Job", name)["metadata"].get("finalizers", ())


def test_a_refused_record_is_retried_and_given_up_visibly(
    controllers: Controllers, office: Office, receiver: WebhookReceiver
) -> None:
    controllers.tolerated += ["quota", "cannot be recorded"]
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["FAILED"], "webhook": {}}, notificationGuarantee="Held")
    office.jobs("lost", "late", "fine")
    quota = {"hard": {"count/notificationdeliveries.execution.dev": "0"}}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": quota}
    quotas = path_of("", "v1", "resourcequotas", office.namespace)
    office.team.request("POST", quotas, body)
    controller = controllers.start_in_place(PATIENCE)
    office.end("lost")
    assert eventually(lambda: condition(office).get("reason") == "NotificationRefused")
    assert is_held(office, "lost")
    # The time is up.
    eventually(lambda: not is_held(office, "lost"))
    assert office.note("lost").endswith(" unrecorded")
    eventually(lambda: condition(office)["reason"] == "NotificationLost")
    lost = condition(office)
    assert lost["status"] == "False"
    assert lost["message"].startswith("FAILED of Job lost by webhook cannot be recorded, and was given up: ")
    events = eventually(
        lambda: (found := office.team.kubectl("get", "events")).count("NotificationLost") == 2 and found
    )
    assert {"job/lost", "executionoptions/o"} <= {word for line in events.splitlines() for word in line.split()}
    assert "ERROR" in controller.log.read_text()
    # Another process knows only what is written: it keeps the condition and does not retry.
    controller.kill()
    controllers.start_in_place()
    office.end("late")
    eventually(lambda: condition(office)["reason"] == "NotificationRefused")
    assert is_held(office, "late")
    # Somebody makes room: what was refused is recorded, and sent.
    office.team.request("DELETE", f"{quotas}/none")
    assert state(office.delivery("late")) == "Delivered"
    eventually(lambda: condition(office)["status"] == "True")
    eventually(lambda: not is_held(office, "late"))
    assert office.deliveries("lost") == []
