"""Those who heard of a failure hear of the first success after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import TOKEN, Controllers, Office, state

if TYPE_CHECKING:
    from support.services import Slack, WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.long]

JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"generateName": "nightly-"},
    "spec": {
        "managedBy": "example.com/test",
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "none"}]}},
    },
}


def test_the_first_success_after_a_failure_is_told_in_its_thread(
    office: Office, controllers: Controllers, slack: Slack, receiver: WebhookReceiver
) -> None:
    controllers.start().active()
    office.may_read_secrets()
    office.secret(token=TOKEN)
    office.channel("chat", slack={"botTokenSecretRef": {"name": "channel", "key": "token"}, "apiURL": slack.api})
    office.channel("hook", webhook={"url": receiver.url})
    told = {"phases": ["FAILED"], "onRecovery": True}
    office.options(told | {"slack": {"recipients": ["#dev-alerts"]}}, told | {"webhook": {}})
    now = datetime.now(UTC)

    def ended(seconds: int, *, well: bool) -> list[tuple[str, str]]:
        """State and reason of the deliveries of a run that ended then."""
        name = office.team.create(JOB)["metadata"]["name"]
        office.end(name, well=well, at=now + timedelta(seconds=seconds))
        return sorted((state(one), one["status"]["reason"]) for one in office.all_finished(name, 2))

    assert ended(-30, well=True) == [("Suppressed", "NothingToResolve")] * 2
    assert ended(-20, well=False) == [("Delivered", "Accepted")] * 2
    assert ended(5, well=True) == [("Delivered", "Accepted")] * 2
    assert ended(10, well=True) == [("Suppressed", "NothingToResolve")] * 2

    failed, recovered = slack.posted
    assert (failed.get("thread_ts"), recovered["thread_ts"]) == (None, "1700000001.000100")
    assert recovered["text"].endswith("succeeded again")
    data = [request.json["data"] for request in receiver.received]
    assert [(one["phase"], one.get("recovers", False)) for one in data] == [("FAILED", False), ("SUCCEEDED", True)]
