"""The ends of a sweep are one message, also if the controller dies at any step of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.faults import Fault, Request
from support.waiting import eventually

from .conftest import TOKEN, Controllers, Office, state
from .test_faults import open_ones

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from support.services import Received, Says, Slack, WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SIZE = 6
GROUP = {"by": ["options"], "wait": "2s", "interval": "1s"}


def writes(wanted: str, reason: str = "") -> Callable[[Request], bool]:
    """A condition on requests: whether one writes this state to a delivery."""

    def fits(request: Request) -> bool:
        if request.method != "PATCH" or "/notificationdeliveries/" not in request.path:
            return False
        written = [one["value"] for one in request.json[1:] if one["path"] == "/status"]
        return any(one["state"] == wanted and one.get("reason", "") == reason for one in written)

    return fits


STEPS: list[tuple[str, Callable[[Request], bool], Any]] = [
    ("before it is claimed", writes("Sending"), "before"),
    ("after it was claimed", writes("Sending"), "after"),
    ("before its end is recorded", writes("Delivered", "Accepted"), "before"),
    ("after its end was recorded", writes("Delivered", "Accepted"), "after"),
    ("before a rider is finished", writes("Delivered", "Grouped"), "before"),
    ("after a rider was finished", writes("Delivered", "Grouped"), "after"),
]
UNSURE = {"after it was claimed": 1, "before its end is recorded": 2, "while the service has it": 2}
"""Steps after which nobody can know whether the message arrived, and how often it arrives."""


def test_a_sweep_is_one_message_that_lists_each_run(
    controllers: Controllers, office: Office, receiver: WebhookReceiver
) -> None:
    controllers.start().active()
    office.channel("hook", webhook={"url": receiver.url}, group=GROUP)
    office.options({"phases": ["FAILED", "SUCCEEDED"], "webhook": {}})
    jobs = [f"sweep-{number}" for number in range(12)]
    office.jobs(*jobs)
    for number, job in enumerate(jobs):
        office.end(job, well=number < 2)
    for job in jobs:
        assert state(office.delivery(job)) == "Delivered"
    data = [request.json["data"] for request in receiver.received]
    assert len(data) <= 2, "all ended within the time that others are waited for, or nearly"
    assert sorted(one["name"] for event in data for one in event["members"]) == sorted(jobs)
    assert "of 12 failed" in data[0]["subject"] or len(data) > 1
    reasons = Counter(one["status"]["reason"] for one in office.deliveries())
    assert reasons == {"Accepted": len(data), "Grouped": 12 - len(data)}
    # What comes later is a message of its own.
    office.jobs("late")
    office.end("late")
    office.delivery("late")
    assert receiver.received[-1].json["data"]["name"] == "late"


def test_a_kill_at_any_step_of_a_group_loses_nobody_and_repeats_only_what_nobody_could_know(
    controllers: Controllers, office: Office, slack: Slack
) -> None:
    """Slack has no key by which it could recognise a repetition."""
    office.may_read_secrets()
    office.secret(token=TOKEN)
    office.channel("slack", slack={"botTokenSecretRef": {"name": "channel", "key": "token"}, "apiURL": slack.api})
    office.options({"phases": ["FAILED"], "slack": {"recipients": ["#dev-alerts"]}, "group": GROUP})
    steps = [step for step, *_ in STEPS] + ["while the service has it"]
    jobs = {step: [f"run-{row}-{number}" for number in range(SIZE)] for row, step in enumerate(steps)}
    office.jobs(*(job for group in jobs.values() for job in group))
    controller = controllers.start_in_place()
    for step, fits, when in STEPS:
        controllers.way.fault = Fault(fits, when, controller.kill)
        for job in jobs[step]:
            office.end(job)
        controller.died()
        controller = controllers.start_in_place()
        for job in jobs[step]:
            office.delivery(job)
        eventually(lambda: not open_ones(office))

    killed, usual = controller, slack.usual

    def last_words(request: Received) -> Says:
        slack.usual = usual  # type: ignore[method-assign]
        killed.kill()
        return usual(request)

    slack.usual = last_words  # type: ignore[method-assign]
    for job in jobs["while the service has it"]:
        office.end(job)
    killed.died()
    controllers.start_in_place()

    arrived: Counter[str] = Counter()
    for step, group in jobs.items():
        for job in group:
            delivery = office.delivery(job)
            assert state(delivery) == "Delivered"
            expected = step in UNSURE
            assert bool(delivery["status"].get("possibleDuplicate")) is expected, (step, job)
    for message in slack.posted:
        arrived.update(set(re.findall(r"run-\d-\d", json.dumps(message))))
    assert {step: {arrived[job] for job in group} for step, group in jobs.items()} == {
        step: {UNSURE.get(step, 1)} for step in jobs
    }
