"""Notifications."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from execution_options import (
    Email,
    EmailNotification,
    Notification,
    PagerDuty,
    Slack,
    Template,
    Webhook,
    WorkflowExecutionPhase,
)

FAILED, RUNNING = WorkflowExecutionPhase.FAILED, WorkflowExecutionPhase.RUNNING
MESSAGING = [Email, Slack, PagerDuty]


@pytest.mark.parametrize("kind", MESSAGING)
def test_a_notification_needs_a_phase(kind: type[Email]) -> None:
    with pytest.raises(AssertionError, match=r"^You must specify at least one phase for a notification\.$"):
        kind([], ["a@example.com"])


@pytest.mark.parametrize("kind", MESSAGING)
def test_a_notification_takes_terminal_phases_only(kind: type[Email]) -> None:
    with pytest.raises(AssertionError, match=r"^Invalid phase: 2\. only terminal states are permitted"):
        kind([FAILED, RUNNING], ["a@example.com"])


def test_a_webhook_checks_its_phases_too() -> None:
    with pytest.raises(AssertionError, match="at least one phase"):
        Webhook([])


def test_phases_are_kept_as_members_in_the_order_given() -> None:
    assert Email([6, 4], []).phases == [FAILED, WorkflowExecutionPhase.SUCCEEDED]
    assert all(isinstance(phase, WorkflowExecutionPhase) for phase in Email([6, 4], []).phases)


@pytest.mark.parametrize("kind", MESSAGING)
def test_one_recipient_without_a_list_is_not_taken_for_its_letters(kind: type[Email]) -> None:
    with pytest.raises(TypeError, match="must be a list of strings, not 'a@"):
        kind([FAILED], "a@example.com")


def test_notifications_with_the_same_content_are_equal_however_they_were_built() -> None:
    built = Notification([FAILED], email=EmailNotification(["a@example.com"]))
    assert built == Email([FAILED], ["a@example.com"])
    assert len({built, Email([FAILED], ["a@example.com"])}) == 1


@pytest.mark.parametrize(
    "other",
    [
        Email([FAILED], ["b@example.com"]),
        Slack([FAILED], ["a@example.com"]),
        Email([FAILED], ["a@example.com"], channel="ops"),
        Email([FAILED], ["a@example.com"], template=Template(subject="x")),
        "a@example.com",
    ],
)
def test_notifications_with_other_content_differ(other: object) -> None:
    assert Email([FAILED], ["a@example.com"]) != other


def test_a_notification_shows_only_what_it_says() -> None:
    shown = repr(Webhook([FAILED], channel="ops"))
    assert shown.startswith("Webhook(phases=[")
    assert "channel='ops'" in shown
    assert "email" not in shown


@pytest.mark.parametrize("kind", [Notification, *MESSAGING, Webhook])
def test_annotations_can_be_resolved(kind: Any) -> None:
    assert typing.get_type_hints(kind.__init__)["template"] == Template | None
