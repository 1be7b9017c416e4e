"""Test notifications."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.notifications.route import Channel, ChannelKey, Channels
from execution_options.outbox.trial import Request, of_channel, of_options
from support.options import namespaced

if TYPE_CHECKING:
    from execution_options.notifications.message import Message
    from execution_options.outbox.compose import Composed

MAIL = {"default": True, "email": {"host": "mail.example.com", "from": "jobs@example.com"}}
HOOK = {"default": True, "webhook": {"url": "https://hooks.example.com/x"}}
PAGER = {"default": True, "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}}}
SLACK = {"default": True, "slack": {"botTokenSecretRef": {"name": "s", "key": "k"}}}
REQUEST = Request("u1", "v1 a@b.c, d@e.f")


def channel(name: str, spec: dict[str, Any]) -> Channel:
    return Channel(ChannelKey("team", name), msgspec.convert(spec, NotificationChannelSpec))


def test_a_channel_is_tested_with_the_recipients_that_the_request_names() -> None:
    mail = of_channel(channel("mail", MAIL), REQUEST)
    assert mail.spec.recipients == ("a@b.c", "d@e.f")
    assert mail.spec.unsent is None
    assert mail.spec.test == REQUEST.text
    assert mail.spec.tested is not None
    assert (mail.spec.tested.name, mail.spec.to) == ("channel/mail", "a@b.c, d@e.f")
    assert of_channel(channel("hook", HOOK), REQUEST).spec.to == "channel hook"
    assert of_channel(channel("hook", HOOK), REQUEST).spec.recipients == ("",)
    assert of_channel(channel("pager", PAGER), Request("u1", "v1")).spec.recipients == ("",)
    nobody = of_channel(channel("mail", MAIL), Request("u1", "v1"))
    assert nobody.spec.unsent is not None
    assert nobody.spec.unsent.reason == "NoRecipient"


def test_each_request_has_its_own_deliveries() -> None:
    first = of_channel(channel("hook", HOOK), Request("u1", "v1"))
    assert first == of_channel(channel("hook", HOOK), Request("u1", "v1"))
    assert first.name != of_channel(channel("hook", HOOK), Request("u1", "v2")).name
    assert first.manifest("team")["metadata"]["labels"] == {"execution.dev/test": Request("u1", "v1").id}


def test_options_are_tested_once_for_each_destination_even_if_they_disable_notifications() -> None:
    spec = {
        "notifications": [
            {"phases": ["SUCCEEDED", "FAILED"], "email": {"recipients": ["a@b.c"]}},
            {"phases": ["SUCCEEDED"], "webhook": {}},
            {"phases": ["FAILED"], "pagerDuty": {"recipients": ["on-call"]}},
        ],
        "disableNotifications": True,
    }
    known = [channel("mail", MAIL), channel("hook", HOOK), channel("pager", PAGER)]
    tried = list(of_options(namespaced("o", spec), Channels(known, "team", {}, "system"), Request("u1", "v1")))
    assert sorted((one.spec.channel.type, one.spec.phase) for one in tried) == [
        ("email", "FAILED"),
        ("pagerDuty", "FAILED"),
        ("webhook", "SUCCEEDED"),
    ]
    assert all(one.spec.unsent is None and one.spec.execution is None for one in tried)
    assert {one.spec.tested.name for one in tried if one.spec.tested} == {"options/o"}
    assert not any(one.spec.serialised for one in tried)


def every_test() -> list[Composed]:
    """Tests of a channel of each type, and of options with all types and phases, with and without templates."""
    url = {"executionURL": "https://jobs.example.com/{{ namespace }}/{{ name }}"}
    known = [channel(name, {**spec, **url}) for name, spec in CHANNELS.items()]
    words = {"subject": "{{ name }} {{ phase }}", "body": "{{ phase }} {{ error }} {{ url }}"}
    notifications = [
        {"phases": [phase], **whom, **template}
        for phase in ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
        for whom in ({"email": {"recipients": [f"{phase}@b.c"]}}, {"slack": {"recipients": [f"#{phase}"]}}, *ONE_PLACE)
        for template in ({}, {"template": words})
    ]
    options = namespaced("o", {"notifications": notifications})
    tried = list(of_options(options, Channels(known, "team", {}, "system"), REQUEST))
    return [*(of_channel(one, REQUEST) for one in known), *tried]


CHANNELS = {"mail": MAIL, "hook": HOOK, "pager": PAGER, "chat": SLACK}
ONE_PLACE: list[dict[str, Any]] = [{"webhook": {}}, {"pagerDuty": {"recipients": ["on-call"]}}]
EVERY_TEST = every_test()


def of_type(kind: str) -> list[Message]:
    found = [one.spec.message for one in EVERY_TEST if one.spec.message.type == kind]
    assert len(found) > 1
    return found


@pytest.mark.parametrize("one", EVERY_TEST, ids=[one.name for one in EVERY_TEST])
def test_a_test_says_that_it_is_one_and_has_no_phase_and_no_link(one: Composed) -> None:
    message = one.spec.message
    assert message.subject.startswith("TEST: ")
    assert "This is a test of " in message.text + message.payload
    assert message.note == ""
    everything = "".join((message.subject, message.text, message.html, message.payload, message.resolve))
    assert "https://jobs.example.com" not in everything
    for phase in ("FAILED", "TIMED", "ABORTED", "SUCCEEDED"):
        # Recipients are named after phases, but no message contains them.
        assert phase not in everything


def test_the_mail_of_a_test_is_grey() -> None:
    assert not [message for message in of_type("email") if "#57606a" not in message.html or "#cf222e" in message.html]


def test_slack_shows_no_sign_of_an_end() -> None:
    headers = {json.loads(message.payload)[0]["text"]["text"].split()[0] for message in of_type("slack")}
    assert headers == {":test_tube:"}


def test_a_test_opens_an_incident_of_severity_info_and_resolves_it() -> None:
    for message in of_type("pagerDuty"):
        opened, resolved = json.loads(message.payload), json.loads(message.resolve)
        assert (opened["event_action"], resolved["event_action"]) == ("trigger", "resolve")
        assert opened["dedup_key"] == resolved["dedup_key"]
        assert (opened["payload"]["severity"], opened["payload"]["class"]) == ("info", "TEST")
        assert "links" not in opened
        assert "client_url" not in opened


def test_a_webhook_recognises_a_test_by_its_type_and_its_data() -> None:
    for message in of_type("webhook"):
        event = json.loads(message.payload)
        assert event["type"] == "dev.execution.test"
        assert (event["data"]["test"], event["data"]["phase"], event["data"]["url"]) == (True, "TEST", "")
