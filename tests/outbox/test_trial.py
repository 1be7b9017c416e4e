"""Tests that somebody asks for."""

from __future__ import annotations

from typing import Any

import msgspec

from execution_options.api.channel import NotificationChannelSpec
from execution_options.notifications.route import Channel, ChannelKey, Channels
from execution_options.outbox.trial import Request, of_channel, of_options
from support.options import namespaced

MAIL = {"default": True, "email": {"host": "mail.example.com", "from": "jobs@example.com"}}
HOOK = {"default": True, "webhook": {"url": "https://hooks.example.com/x"}}
PAGER = {"default": True, "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}}}
REQUEST = Request("u1", "v1 a@b.c, d@e.f")


def channel(name: str, spec: dict[str, Any]) -> Channel:
    return Channel(ChannelKey("team", name), msgspec.convert(spec, NotificationChannelSpec))


def test_a_channel_is_tried_with_the_recipients_that_the_request_names() -> None:
    mail = of_channel(channel("mail", MAIL), REQUEST)
    assert mail.spec.recipients == ("a@b.c", "d@e.f")
    assert mail.spec.unsent is None
    assert mail.spec.test == REQUEST.text
    assert "test" in mail.spec.message.text
    assert of_channel(channel("hook", HOOK), REQUEST).spec.recipients == ("",)
    assert of_channel(channel("pager", PAGER), Request("u1", "v1")).spec.recipients == ("",)
    nobody = of_channel(channel("mail", MAIL), Request("u1", "v1"))
    assert nobody.spec.unsent is not None
    assert nobody.spec.unsent.reason == "NoRecipient"


def test_a_new_request_has_deliveries_of_its_own_and_the_same_one_has_the_same() -> None:
    first = of_channel(channel("hook", HOOK), Request("u1", "v1"))
    assert first == of_channel(channel("hook", HOOK), Request("u1", "v1"))
    assert first.name != of_channel(channel("hook", HOOK), Request("u1", "v2")).name
    assert first.manifest("team")["metadata"]["labels"] == {"execution.dev/test": Request("u1", "v1").id}


def test_options_are_tried_once_for_each_way_even_where_they_are_silenced() -> None:
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
    assert not any(one.spec.serialised for one in tried)
