"""Each end of a delivery is logged, counted, and said where somebody looks for it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from execution_options.api.meta import ObjectMeta
from execution_options.controller.outbox.delivery import Delivery
from execution_options.controller.outbox.reporting import Reporting, summary
from execution_options.controller.runtime.metrics import Metrics
from execution_options.outbox.record import ChannelRef, ExecutionRef, OptionsRef, Spec
from execution_options.outbox.state import Status
from execution_options.providers.answer import accepted, temporary

if TYPE_CHECKING:
    from execution_options.status.events import Announcement, Regarding

SPEC = Spec(
    execution=ExecutionRef("job", "batch/v1", "Job", "train", "u1"),
    phase="FAILED",
    episode="",
    channel=ChannelRef("team", "mail", "email"),
    options=OptionsRef("ExecutionOptions", "nightly", "o1"),
    recipients=("a@b.c",),
)


def delivery(state: Any, reason: str = "", message: str = "", redelivery: str = "", **changes: Any) -> Delivery:
    ended = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    metadata = ObjectMeta(name="train-1", namespace="team", creation_timestamp=ended)
    status = Status(state, reason, message, redelivery=redelivery)
    return Delivery(metadata, msgspec.structs.replace(SPEC, **{"episode": ended, **changes}), status)


class Desk:
    """Where it is told."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.said: list[tuple[str, str, str]] = []
        self.reporting = Reporting(self.metrics, cast("Any", self))

    def post_on(self, regarding: Regarding, said: Announcement) -> None:
        self.said.append((f"{regarding.kind} {regarding.namespace}/{regarding.name}", said.reason, said.note))

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"execution_options_{name}", labels) or 0.0


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        ("Delivered", "", []),
        ("Suppressed", "NotificationSuppressed", ["Job team/train"]),
        ("Failed", "NotificationFailed", ["Job team/train", "ExecutionOptions team/nightly"]),
    ],
)
def test_the_execution_is_told_what_did_not_arrive_and_the_options_a_failure(
    desk: Desk, state: str, reason: str, told: list[str]
) -> None:
    desk.reporting.finished(delivery(state, "Why", "because"))
    assert [(whom, said) for whom, said, _ in desk.said] == [(whom, reason) for whom in told]
    assert desk.value("deliveries_total", type="email", state=state) == 1.0


def test_cluster_options_are_in_no_namespace(desk: Desk) -> None:
    desk.reporting.finished(delivery("Failed", options=OptionsRef("ClusterExecutionOptions", "all", "c1")))
    assert desk.said[1][0] == "ClusterExecutionOptions /all"


def test_an_annotation_that_asks_can_be_told_nothing(desk: Desk) -> None:
    desk.reporting.finished(delivery("Failed", execution=None, options=OptionsRef("Job", "train")))
    assert desk.said == []


def test_the_log_names_it_and_has_what_programs_look_for(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        desk.reporting.finished(delivery("Failed", "Refused", "550 no such user"))
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("delivery team/train-1 by email team/mail: Failed (Refused): FAILED by email to a@b.c")
    assert said.endswith("550 no such user")


@pytest.mark.parametrize(
    ("changes", "counted"), [({}, 1.0), ({"redelivery": "again"}, 0.0), ({"test": "1"}, 0.0), ({"episode": "x"}, 0.0)]
)
def test_the_time_that_a_first_delivery_took_is_measured(desk: Desk, changes: dict[str, Any], counted: float) -> None:
    desk.reporting.finished(delivery("Delivered", **changes))
    assert desk.value("delivery_seconds_count", type="email") == counted
    if counted:
        assert 89 < desk.value("delivery_seconds_sum", type="email") < 120


def test_each_answer_is_counted(desk: Desk) -> None:
    desk.reporting.attempted(delivery("Sending"), {"a": accepted(), "b": temporary("RateLimited", "slow down")})
    assert desk.value("delivery_attempts_total", type="email", result="Accepted") == 1.0
    assert desk.value("delivery_attempts_total", type="email", result="Temporary") == 1.0


def test_what_is_open_is_counted_with_the_age_of_the_oldest() -> None:
    open_now = [delivery("Pending"), delivery("Pending"), delivery("Sending")]
    found = summary(lambda: iter(open_now))
    assert found[0] == {("email", "Pending"): 2, ("email", "Sending"): 1}
    assert 89 < found[1] < 120
    assert summary(lambda: iter(())) == ({}, 0.0)
