"""The controller dies at every step between the end of an execution and the last record of its notification."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pytest

from support.faults import Fault, Request
from support.services import Received, Says
from support.waiting import eventually

from .conftest import TOKEN, Office, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.cluster import ControlPlane
    from support.services import Slack, WebhookReceiver

    from .conftest import Controllers

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def writes(wanted: str) -> Callable[[Request, str], bool]:
    """A condition on requests: whether one writes this state to the delivery of a Job."""

    def fits(request: Request, job: str) -> bool:
        if request.method != "PATCH" or f"/notificationdeliveries/{job}-" not in request.path:
            return False
        return any(one["path"] == "/status" and one["value"]["state"] == wanted for one in request.json[1:])

    return fits


def records(request: Request, job: str) -> bool:
    collection = request.method == "POST" and request.path.endswith("/notificationdeliveries")
    return collection and request.json["metadata"]["name"].startswith(f"{job}-")


def notes(request: Request, job: str) -> bool:
    return request.method == "PATCH" and request.path.endswith(f"/jobs/{job}") and b"notified" in request.body


STEPS: list[tuple[str, Callable[..., bool], Any]] = [
    ("before it is recorded", records, "before"),
    ("after it was recorded", records, "after"),
    ("before it is claimed", writes("Sending"), "before"),
    ("after it was claimed", writes("Sending"), "after"),
    ("before its end is recorded", writes("Delivered"), "before"),
    ("after its end was recorded", writes("Delivered"), "after"),
    ("before the execution is noted", notes, "before"),
    ("after the execution is noted", notes, "after"),
]
UNSURE = {"after it was claimed": 1, "before its end is recorded": 2, "while the service has it": 2}
"""Steps after which nobody can know whether the message arrived, and how often it arrives."""


def test_a_kill_at_any_step_loses_nothing_and_repeats_only_what_nobody_could_know(
    controllers: Controllers, office: Office, slack: Slack
) -> None:
    """Slack has no key by which it could recognise a repetition."""
    office.may_read_secrets()
    office.secret(token=TOKEN)
    office.channel("slack", slack={"botTokenSecretRef": {"name": "channel", "key": "token"}, "apiURL": slack.api})
    office.options({"phases": ["FAILED"], "slack": {"recipients": ["#dev-alerts"]}})
    jobs = {step: f"job-{number}" for number, (step, _, _) in enumerate(STEPS)} | {"while the service has it": "job-s"}
    jobs |= {"while it is down": "job-down"}
    office.jobs(*jobs.values())
    controller = controllers.start_in_place()
    for step, fits, when in STEPS:
        controllers.way.fault = Fault(partial(fits, job=jobs[step]), when, controller.kill)
        office.end(jobs[step])
        controller.died()
        if step == STEPS[0][0]:
            office.end(jobs["while it is down"])
        controller = controllers.start_in_place()
        # Otherwise the next kill could also hit what this one left behind.
        office.delivery(jobs[step])
        eventually(lambda: not open_ones(office))

    # The service has the message, and the controller dies before it gets the answer.
    killed = controller
    usual = slack.usual

    def last_words(request: Received) -> Says:
        slack.usual = usual  # type: ignore[method-assign]
        killed.kill()
        return usual(request)

    slack.usual = last_words  # type: ignore[method-assign]
    office.end(jobs["while the service has it"])
    killed.died()
    controllers.start_in_place()

    for job in jobs.values():
        assert state(office.delivery(job)) == "Delivered"
        eventually(lambda job=job: office.note(job).startswith("FAILED "))
    arrived = Counter(job for message in slack.posted for job in jobs.values() if f"{job} " in json.dumps(message))
    assert {step: arrived[job] for step, job in jobs.items()} == {step: UNSURE.get(step, 1) for step in jobs}
    marked = {step for step, job in jobs.items() if office.delivery(job)["status"].get("possibleDuplicate")}
    assert marked == set(UNSURE)
    assert all(TOKEN not in one.log.read_text() for one in controllers.started)


def open_ones(office: Office) -> list[str]:
    return [one["metadata"]["name"] for one in office.deliveries() if state(one) in ("Pending", "Sending")]


@pytest.mark.parametrize("when", ["before", "after"])
def test_each_end_is_logged_and_counted_once_even_if_the_answer_to_its_record_is_lost(
    controllers: Controllers, office: Office, receiver: WebhookReceiver, when: Literal["before", "after"]
) -> None:
    controllers.tolerated.append("again in")
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["FAILED"], "webhook": {}}, {"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}})
    office.jobs("fine", "lost")
    controller = controllers.start_in_place()
    controllers.way.fault = Fault(lambda request: writes("Delivered")(request, "lost"), when, lambda: None)
    office.end("fine")
    office.end("lost")

    def log_lines(state: str) -> list[str]:
        lines = controller.log.read_text().splitlines()
        ours = "execution_options.controller.outbox.reporting: delivery "
        return [line for line in lines if ours in line and state in line]

    eventually(lambda: len(log_lines(": Delivered (Accepted)")) >= 2 and len(log_lines(": Failed (NoChannel)")) >= 2)
    metrics = controller.metrics()
    for kind, how in (("webhook", "Delivered"), ("email", "Failed")):
        name = f'execution_options_deliveries_total{{state="{how}",type="{kind}"}}'
        assert metrics[name] == len(log_lines(f": {how} (")) == 2
    for one in office.deliveries():
        assert len(log_lines(f"delivery {office.namespace}/{one['metadata']['name']} by ")) == 1


def test_kills_under_load_lose_nothing(controllers: Controllers, office: Office, receiver: WebhookReceiver) -> None:
    """The receiver of a webhook recognises a repetition by its id."""
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["FAILED"], "webhook": {}})
    jobs = [f"job-{number}" for number in range(60)]
    office.jobs(*jobs)
    receiver.always = Says(204, seconds=0.02)
    controller = controllers.start_in_place()
    for number, job in enumerate(jobs):
        office.end(job)
        if number % 30 == 20:
            eventually(lambda number=number: len(receiver.received) > number - 15)
            controller.kill()
            controller = controllers.start_in_place()
    for job in jobs:
        delivery = office.delivery(job)
        assert state(delivery) == "Delivered"
        assert "possibleDuplicate" not in delivery["status"]
    ids = Counter(request.headers["webhook-id"] for request in receiver.received)
    assert len(ids) == len(jobs)
    # Each kill can only repeat what was under way.
    assert sum(ids.values()) - len(jobs) <= 2 * 8


def test_only_one_of_two_controllers_sends_and_restarts_lose_nothing(
    controllers: Controllers, office: Office, receiver: WebhookReceiver, embedded: ControlPlane
) -> None:
    controllers.tolerated += ["lease", "again in", "trying again", "will retry", "failed; will", "cannot be listed"]
    controllers.tolerated += [
        "disconnected",
        "Cannot connect",
        "Connection reset",
        "event on",
        # It serves before it has read all roles, so it may refuse everything for a moment.
        "kopf waits: 403",
    ]  # the API server restarts
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["FAILED"], "webhook": {}})
    jobs = [f"job-{number}" for number in range(40)]
    office.jobs(*jobs)
    first = controllers.start_in_place()
    controllers.start()
    for job in jobs[:15]:
        office.end(job)
    eventually(lambda: len(receiver.received) >= 15)
    assert len(receiver.received) == 15
    for job in jobs[15:25]:
        office.end(job)
    embedded.restart_component("kube-apiserver")
    for job in jobs[25:30]:
        office.end(job)
    first.process.terminate()
    for job in jobs[30:]:
        office.end(job)
    for job in jobs:
        assert state(office.delivery(job)) == "Delivered"
    ids = Counter(request.headers["webhook-id"] for request in receiver.received)
    assert len(ids) == len(jobs)
    assert sum(ids.values()) == len(jobs)
