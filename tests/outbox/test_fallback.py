"""What a channel has given up on reaches its fallback: once, in words of its own, and never in a circle."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.names import CHANNEL_KIND
from execution_options.api.validation import typed
from execution_options.notifications.fallback import problem
from execution_options.notifications.message import Message
from execution_options.notifications.render import render
from execution_options.notifications.route import Channel, ChannelKey
from execution_options.outbox import state
from execution_options.outbox.compose import Composed, digest_of
from execution_options.outbox.fallback import compose_fallback
from execution_options.outbox.record import ChannelRef, ExecutionRef, FullSpec
from support.notices import CAUSED, FAILED, due

KEY = {"name": "s", "key": "k"}
SERVICES: dict[str, Any] = {
    "email": {"host": "smtp.example.com", "from": "a@b.c"},
    "slack": {"botTokenSecretRef": KEY},
    "pagerDuty": {"routingKeySecretRef": KEY},
    "webhook": {"url": "https://a.b/"},
    "teams": {"urlSecretRef": KEY},
    "discord": {"urlSecretRef": KEY},
    "opsgenie": {"apiKeySecretRef": KEY},
    "http": {"url": "https://a.b/", "body": '{"title": "{{ subject }}", "text": "{{ body }}"}'},
}


def channel(name: str, kind: str, fallback: str = "", **service: Any) -> Channel:
    spec: dict[str, Any] = {kind: service or SERVICES[kind]}
    spec |= {"fallbackChannelRef": {"name": fallback}} if fallback else {}
    return Channel(ChannelKey("team", name), typed(spec, CHANNEL_KIND, NotificationChannelSpec))


def failed(*lost: str, delivered: str = "") -> state.Status:
    recorded = state.recorded([*lost, *filter(None, [delivered])])
    sent = tuple(
        structs.replace(one, state="Delivered") if one.name == delivered else one for one in recorded.recipients
    )
    done = structs.replace(recorded, recipients=sent)
    return state.failed(done, "ServerError", "given up after 40 attempts: HTTP 503", datetime.now(UTC))


def passed_on(
    one: Channel, other: Channel, *lost: str, message: Message | None = None, **changes: Any
) -> Composed | None:
    spec = FullSpec(
        execution=ExecutionRef("job", "batch/v1", "Job", "train-1", "u-1"),
        phase="FAILED",
        episode=FAILED.episode,
        lineage=FAILED.lineage,
        channel=ChannelRef(*one.key, one.type),
        recipients=lost,
        message=message or render(CAUSED, due(one.type), "team/train-1-0123", http=one.spec.http or None),
    )
    spec = structs.replace(spec, **changes)
    return compose_fallback(("team", "train-1-0123"), spec.bare(), spec.message, failed(*lost), one, other, "prod")


@pytest.mark.parametrize("kind", SERVICES)
@pytest.mark.parametrize("other", ["webhook", "teams", "discord", "opsgenie", "http", "pagerDuty"])
def test_a_fallback_says_what_was_to_be_said_and_who_was_to_hear_it(kind: str, other: str) -> None:
    made = passed_on(channel("first", kind), channel("second", other), "ana@example.com")
    assert made is not None
    assert (made.spec.channel.name, made.spec.fallback_of) == ("second", ("first",))
    said = json.dumps(json.loads(made.spec.message.payload)).replace("\\\\", "")
    for text in ("The channel first could not deliver this", "exit code 137", "HTTP 503", "ml-training", "ana"):
        assert text in said, said
    assert made.spec.message.note == ""


def test_only_the_recipients_that_did_not_get_it_get_it_by_a_channel_of_the_same_type() -> None:
    first, second = channel("first", "email", "second"), channel("second", "email")
    spec = FullSpec(
        execution=ExecutionRef("job", "batch/v1", "Job", "train-1", "u-1"),
        phase="FAILED",
        episode="e",
        channel=ChannelRef("team", "first", "email"),
        recipients=("a@b.c", "d@e.f"),
        message=Message(type="email", subject="s", text="t"),
    )
    status = failed("a@b.c", delivered="d@e.f")
    made = compose_fallback(("team", "n"), spec.bare(), spec.message, status, first, second, "")
    assert made is not None
    assert made.spec.recipients == ("a@b.c",)


def test_nobody_is_told_who_cannot_be_named() -> None:
    assert passed_on(channel("first", "email"), channel("second", "slack"), "a@b.c") is None
    assert passed_on(channel("first", "webhook"), channel("second", "email"), "") is None
    incoming = channel("second", "slack", webhookURLSecretRef=KEY)
    made = passed_on(channel("first", "email"), incoming, "a@b.c")
    assert made is not None
    assert made.spec.recipients == ("",)


def test_a_test_is_not_passed_on() -> None:
    assert passed_on(channel("first", "email"), channel("second", "teams"), "a@b.c", test="now") is None


def test_the_same_failure_is_recorded_under_the_same_name_and_another_under_another() -> None:
    first, second, third = (channel(name, "teams") for name in ("first", "second", "third"))
    names = [made.name for one in (second, second, third) if (made := passed_on(first, one, "")) is not None]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("train-1-0123-")


def test_an_alert_of_a_fallback_is_closed_by_a_later_success() -> None:
    made = passed_on(channel("first", "email"), channel("second", "opsgenie"), "a@b.c")
    assert made is not None
    assert json.loads(made.spec.message.payload)["body"]["alias"] == f"prod/{FAILED.lineage}"
    assert made.lineage_digest == digest_of(FAILED.lineage)


NAMES = ["a", "b", "c", "d"]


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*NAMES, "missing"]), min_size=1))
def test_no_message_goes_in_a_circle(refs: dict[str, str]) -> None:
    channels = {name: channel(name, "teams", refs.get(name, "")) for name in NAMES}
    for start in refs:
        seen, at = [start], start
        before: tuple[str, ...] = ()
        while (found := channels.get(refs.get(at, ""))) is not None:
            made = passed_on(channels[at], found, "", fallback_of=before)
            if made is None:
                break
            before, at = made.spec.fallback_of, found.key.name
            seen.append(at)
        assert len(seen) == len(set(seen))
        said = problem(channels[start], channels.values())
        first = refs[start]
        if first == "missing":
            assert said == "there is no NotificationChannel missing in its namespace"
        assert ("leads back" in said) == (at in refs and refs[at] in seen)


def test_a_fallback_without_effect_is_said() -> None:
    mail, chat = channel("mail", "email", "chat"), channel("chat", "slack")
    assert problem(mail, [mail, chat]).startswith("chat is for slack, which needs recipients")
    assert problem(channel("own", "email", "own"), []).startswith("it leads back: own → own")
    assert problem(mail, [channel("chat", "teams")]) == ""
    assert problem(channel("none", "email"), []) == ""
