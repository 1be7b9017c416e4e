"""One message about several ends lists each, whatever they contain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from execution_options.notifications.content import MAX_BODY, MAX_SUBJECT
from execution_options.notifications.grouped import Group, content_of_group
from execution_options.notifications.member import Member
from execution_options.notifications.render import render_group
from support.notices import CAUSE, CAUSED, NASTY

if TYPE_CHECKING:
    from execution_options.api.channel import ChannelType

KEY = "ml-training/sweep-1-0123"


def member(number: int, phase: Any = "FAILED", cause: str = CAUSE.text) -> Member:
    at = f"2026-03-02T04:{number:02}:00Z"
    failed = phase == "FAILED"
    return Member(
        name=f"sweep-{number}", phase=phase, at=at, cause=cause if failed else "", short=CAUSE.place if failed else ""
    )


def group(*members: Member, **changes: Any) -> Group:
    made = Group(of=CAUSED, title="sweep", members=members, asking=("ExecutionOptions", "notify-team"))
    return structs.replace(made, **changes)


@pytest.mark.parametrize(
    ("phases", "heading"),
    [
        (["FAILED"] * 3, "sweep: 3 failed, first cause OOMKilled in container main"),
        (["FAILED", "SUCCEEDED"], "sweep: 1 of 2 failed, first cause OOMKilled in container main"),
        (["SUCCEEDED"] * 2, "sweep: 2 succeeded"),
        (["TIMED_OUT", "ABORTED", "SUCCEEDED"], "sweep: 1 of 3 timed out, 1 of 3 aborted"),
    ],
)
def test_its_subject_counts_and_names_the_first_cause(phases: list[str], heading: str) -> None:
    content = content_of_group(group(*(member(number, phase) for number, phase in enumerate(phases))))
    assert content.heading == heading
    assert content.subject == f"[prod-eu] {heading}"
    assert content.reason == "Sent by the notifications of ExecutionOptions notify-team"


@pytest.mark.parametrize("channel_type", ["email", "slack", "webhook", "teams", "discord"])
def test_each_member_is_listed_in_every_service(channel_type: ChannelType) -> None:
    members = [member(number) for number in range(12)]
    message = render_group(group(*members), channel_type, KEY)
    shown = message.html or message.payload
    for one in members:
        assert f"{one.name}: FAILED, OOMKilled in container main" in message.text or one.name in shown
        assert one.name in shown


def test_a_webhook_gets_all_members_as_data() -> None:
    event = json.loads(render_group(group(member(1), member(2, "SUCCEEDED")), "webhook", KEY).payload)
    assert event["type"] == "dev.execution.group"
    assert event["subject"] == "sweep"
    assert event["data"]["members"] == [
        {"name": "sweep-1", "phase": "FAILED", "finishedAt": "2026-03-02T04:01:00Z", "cause": CAUSE.text},
        {"name": "sweep-2", "phase": "SUCCEEDED", "finishedAt": "2026-03-02T04:02:00Z", "cause": ""},
    ]


def test_of_very_many_members_the_last_are_counted() -> None:
    members = [structs.replace(member(number % 60), name=f"{'long-' * 20}{number}") for number in range(200)]
    content = content_of_group(group(*members))
    assert content.body is not None
    assert "more: long-" in content.body
    assert len(content.body) <= MAX_BODY


MEMBERS = st.lists(
    st.builds(
        Member,
        name=NASTY,
        phase=st.sampled_from(["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"]),
        at=st.sampled_from(["", "2026-03-02T04:17:09Z", "deleted"]),
        cause=NASTY,
        short=NASTY,
    ),
    min_size=1,
    max_size=5,
)


@given(MEMBERS, NASTY, st.sampled_from(["email", "slack", "webhook", "teams", "googleChat", "mattermost"]))
def test_any_members_can_be_sent(members: list[Member], title: str, channel_type: ChannelType) -> None:
    message = render_group(group(*members, title=title), channel_type, KEY)
    assert 0 < len(message.subject) <= MAX_SUBJECT
    assert "\n" not in message.subject
    assert not message.payload or json.loads(message.payload)
    if channel_type == "slack":
        assert not any("<!" in json.dumps(block) for block in json.loads(message.payload)[1:]), (
            "the header is no markup"
        )
