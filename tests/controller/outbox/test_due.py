"""An end is notified by the options as they were then, and only if it is news."""

from __future__ import annotations

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any, Final, cast

import msgspec
import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.names import DISABLE_NOTIFICATIONS_ANNOTATION, LIVE_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.cache.objects import followed
from execution_options.controller.cache.tracker import tracked
from execution_options.controller.outbox.due import Due
from execution_options.controller.outbox.ending import Ending
from execution_options.engines.phases import Outcome
from execution_options.notifications.cause import Cause
from execution_options.notifications.route import Channel, ChannelKey, Channels
from support.causes import NO_CAUSES, NO_LOGS, Logs
from support.jobs import JOB, Document, job, options
from support.options import NAMESPACE

FAILED: Final = Outcome("FAILED", "", "2026-01-02T04:00:00Z")
BEFORE, AFTER = "2026-01-02T03:30:00Z", "2026-01-02T04:30:00Z"
WEBHOOK: Final = {"default": True, "webhook": {"url": "https://example.com"}}


def notifying(*phases: str, generation: int = 1) -> Any:
    return options({"selector": {}, "notifications": [{"phases": list(phases), "webhook": {}}]}, generation)


GIVEN: Final = notifying("FAILED")


class Namespace:
    """A Job that has failed, its options as they are now, and a default channel."""

    def __init__(self, now: Any = GIVEN, written: str = BEFORE) -> None:
        self.document: Document = job({}, GIVEN)
        known = None if now is None else SimpleNamespace(options=now, since=written)
        channel = Channel(ChannelKey(NAMESPACE, "hook"), msgspec.convert(WEBHOOK, NotificationChannelSpec))
        index: Any = SimpleNamespace(get=lambda _: known)
        directory: Any = SimpleNamespace(channels=lambda namespace: Channels([channel], namespace, {}, "system"))
        self.due = Due(index, directory, NO_CAUSES, "", NO_LOGS)

    def annotate(self, **changes: str) -> None:
        self.document["metadata"]["annotations"] |= changes

    def phases(self, outcome: Outcome = FAILED) -> list[str]:
        """The phases of the deliveries that are due."""
        item = msgspec.convert(self.document, followed(JOB))
        return [one.spec.phase for one in asyncio.run(self.due.of(JOB, Ending(item, tracked(item)), outcome))]


def test_an_end_is_due_for_those_who_asked_for_its_phase() -> None:
    namespace = Namespace()
    assert namespace.phases() == ["FAILED"]
    assert namespace.phases(Outcome("SUCCEEDED", "", FAILED.finished_at)) == []


@pytest.mark.parametrize(("written", "due"), [(BEFORE, []), (AFTER, ["FAILED"])])
def test_an_edit_counts_if_it_was_written_before_the_end(written: str, due: list[str]) -> None:
    assert Namespace(notifying("SUCCEEDED", generation=2), written).phases() == due


def test_deleted_options_still_notify_of_what_they_were_given_to() -> None:
    assert Namespace(None).phases() == ["FAILED"]


@pytest.mark.parametrize(("since", "due"), [(BEFORE, ["FAILED"]), (AFTER, [])])
def test_what_ended_before_the_cluster_knew_deliveries_is_not_notified(since: str, due: list[str]) -> None:
    namespace = Namespace()
    namespace.due.since = since
    assert namespace.phases() == due


def test_an_execution_without_options_notifies_nobody() -> None:
    namespace = Namespace()
    namespace.document = job({})
    assert namespace.phases() == []


@pytest.mark.parametrize("annotation", [SNAPSHOT_ANNOTATION, LIVE_ANNOTATION])
def test_options_that_cannot_be_read_are_logged_and_notify_nobody(
    annotation: str, caplog: pytest.LogCaptureFixture
) -> None:
    namespace = Namespace()
    item = msgspec.convert(namespace.document, followed(JOB))
    record = tracked(item)
    namespace.annotate(**{annotation: "from the future"})
    broken = Ending(msgspec.convert(namespace.document, followed(JOB)), record)
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(namespace.due.of(JOB, broken, FAILED)) == []
    assert [text.partition(":")[0] for text in caplog.messages] == [f"Job {NAMESPACE}/j"]


@pytest.mark.parametrize(("flag", "suppressed"), [("true", True), ("false", False), ("perhaps", False)])
def test_the_author_may_disable_notifications(flag: str, suppressed: bool) -> None:
    namespace = Namespace()
    namespace.annotate(**{DISABLE_NOTIFICATIONS_ANNOTATION: flag})
    item = msgspec.convert(namespace.document, followed(JOB))
    (one,) = asyncio.run(namespace.due.of(JOB, Ending(item, tracked(item)), FAILED))
    assert (one.spec.unsent is not None) is suppressed


class Told(Namespace):
    """A Job whose pod has failed; some channels ask for lines of its log."""

    def __init__(self, logs: Logs, **asked: int) -> None:
        super().__init__()
        notifications = [{"phases": ["FAILED"], "webhook": {}, "channelRef": {"name": name}} for name in asked]
        self.document = job({}, options({"selector": {}, "notifications": notifications}, 1))
        specs = {name: WEBHOOK | ({"logLines": lines} if lines else {}) for name, lines in asked.items()}
        known = [
            Channel(ChannelKey(NAMESPACE, name), msgspec.convert(spec, NotificationChannelSpec))
            for name, spec in specs.items()
        ]
        cause = Cause(pod="p", container="main", reason="Error", exit_code=1, logs="current")
        causes: Any = SimpleNamespace(of=lambda *_: cause)
        index: Any = SimpleNamespace(get=lambda _: None)
        directory: Any = SimpleNamespace(channels=lambda namespace: Channels(known, namespace, {}, "system"))
        self.due = Due(index, directory, causes, "", cast("Any", logs))

    def payloads(self, outcome: Outcome = FAILED) -> dict[str, str]:
        """What is sent, by channel."""
        item = msgspec.convert(self.document, followed(JOB))
        composed = asyncio.run(self.due.of(JOB, Ending(item, tracked(item)), outcome))
        return {one.spec.channel.name: one.spec.message.payload for one in composed}


def test_each_channel_gets_as_many_lines_of_the_log_as_it_asks_for() -> None:
    logs = Logs("one\ntwo\nthree")
    payloads = Told(logs, none=0, last=1, more=2).payloads()
    assert logs.asked == [("p", 2)], "it is read once"
    shown = {name: json.loads(payload)["data"]["cause"]["log"] for name, payload in payloads.items()}
    assert shown == {"none": "", "last": "three", "more": "two\nthree"}
    assert "three" not in payloads["none"]


def test_no_log_is_read_unless_a_channel_that_is_used_asks() -> None:
    logs = Logs("one")
    assert set(Told(logs, none=0).payloads()) == {"none"}
    assert Told(logs, asks=5).payloads(Outcome("SUCCEEDED", "", FAILED.finished_at)) == {}
    assert logs.asked == []
