"""Whom to notify, by which channel, and the reason where no channel reaches somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import CHANNEL_KIND
from execution_options.api.notification import TERMINAL_PHASES, Notification
from execution_options.api.validation import typed
from execution_options.notifications.route import Channel, ChannelKey, Channels, Routing, route
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.merge import merge, recipients

if TYPE_CHECKING:
    from execution_options.api.notification import Phase

TEAM, OPERATOR = "team", "execution-options-system"
KEY = {"name": "s", "key": "k"}
TYPES: dict[str, dict[str, Any]] = {
    "email": {"email": {"host": "smtp.example.com", "from": "a@b.c"}},
    "slack": {"slack": {"botTokenSecretRef": KEY}},
    "incoming": {"slack": {"webhookURLSecretRef": KEY}},
    "pagerDuty": {"pagerDuty": {"routingKeySecretRef": KEY}},
    "webhook": {"webhook": {"url": "https://example.com/hook"}},
}


def channel(kind: str, name: str, namespace: str = TEAM, *, default: bool = True, **more: Any) -> Channel:
    spec = {**TYPES[kind], **({"default": True} if default else {}), **more}
    return Channel(ChannelKey(namespace, name), typed(spec, CHANNEL_KIND, NotificationChannelSpec))


def known(*channels: Channel, labels: dict[str, str] | None = None) -> Channels:
    return Channels(channels, TEAM, labels or {}, OPERATOR)


def routed(
    notifications: list[dict[str, Any]],
    channels: Channels,
    phase: Phase = "FAILED",
    *,
    cluster: bool = False,
    disabled: bool = False,
    **spec: Any,
) -> Routing:
    level = Level.CLUSTER_DEFAULT if cluster else Level.NAMESPACE_DEFAULT
    kind = "ClusterExecutionOptions" if cluster else "ExecutionOptions"
    wire = {"notifications": [{"phases": ["FAILED"]} | one for one in notifications]} | spec
    layer = Layer(Source(level, kind, "o"), convert(wire, ExecutionOptionsSpec))
    return route(merge([layer]), phase, channels, disabled=disabled)


def sent(routing: Routing) -> dict[str, tuple[str, ...]]:
    """Recipients by the name of the channel."""
    return {due.channel.name: due.recipients for due in routing.due}


def to(kind: str, *who: str, **more: Any) -> dict[str, Any]:
    return {kind: {} if kind == "webhook" else {"recipients": list(who)}} | more


def test_a_notification_uses_the_default_channel_of_its_type() -> None:
    channels = known(channel("email", "mail"), channel("email", "other", default=False), channel("slack", "chat"))
    routing = routed([to("email", "a@b.c"), to("slack", "#dev")], channels)
    assert sent(routing) == {"mail": ("a@b.c",), "chat": ("#dev",)}
    assert (routing.unrouted, routing.suppressed) == ((), "")


def test_only_the_listed_phases_are_notified() -> None:
    channels = known(channel("email", "mail"))
    assert routed([to("email", "a@b.c")], channels, "SUCCEEDED") == Routing(())
    assert sent(routed([to("email", "a@b.c", phases=["SUCCEEDED"])], channels, "SUCCEEDED"))


def test_a_named_channel_precedes_the_default() -> None:
    channels = known(channel("email", "mail"), channel("email", "other", default=False))
    assert sent(routed([to("email", "a@b.c", channelRef={"name": "other"})], channels)) == {"other": ("a@b.c",)}


@pytest.mark.parametrize(
    ("notification", "reason", "message"),
    [
        (to("email", "a@b.c", channelRef={"name": "gone"}), "ChannelMissing", "no NotificationChannel gone in"),
        (to("email", "a@b.c", channelRef={"name": "chat"}), "ChannelTypeMismatch", "is for slack"),
        (to("webhook"), "NoChannel", "no NotificationChannel for webhook with default: true in namespace team"),
        (to("pagerDuty", "db"), "NoChannel", "db: there is no NotificationChannel for pagerDuty"),
    ],
)
def test_an_unrouted_notification_has_a_reason(notification: dict[str, Any], reason: str, message: str) -> None:
    (unrouted,) = routed([notification], known(channel("slack", "chat"))).unrouted
    assert unrouted.reason == reason
    assert message in unrouted.message


def test_as_in_flyte_addresses_get_a_mail_if_there_is_no_channel_of_the_type() -> None:
    channels = known(channel("email", "mail"))
    routing = routed([to("slack", "#dev-alerts", "x@team.slack.com"), to("pagerDuty", "key@pagerduty.com")], channels)
    assert sent(routing) == {"mail": ("x@team.slack.com", "key@pagerduty.com")}
    (unrouted,) = routing.unrouted
    assert unrouted.recipients == ("#dev-alerts",)
    assert unrouted.message.startswith("#dev-alerts: there is no NotificationChannel for slack")


def test_a_channel_of_the_type_serves_all_recipients() -> None:
    channels = known(channel("email", "mail"), channel("slack", "chat"))
    assert sent(routed([to("slack", "#dev", "a@b.c")], channels)) == {"chat": ("#dev", "a@b.c")}


def test_a_slack_notification_may_name_a_channel_for_mail() -> None:
    channels = known(channel("email", "mail", default=False))
    assert sent(routed([to("slack", "a@b.c", channelRef={"name": "mail"})], channels)) == {"mail": ("a@b.c",)}


def test_a_channel_with_one_destination_gets_one_message() -> None:
    channels = known(channel("incoming", "chat"), channel("webhook", "hook"))
    routing = routed([to("slack", "#a", "#b"), to("slack", "#c"), to("webhook")], channels)
    assert sent(routing) == {"chat": ("",), "hook": ("",)}


def test_the_operators_namespace_offers_what_it_allows() -> None:
    shared = channel("email", "shared", OPERATOR, allowedNamespaces={"matchLabels": {"tier": "prod"}})
    hidden = channel("slack", "hidden", OPERATOR)
    notifications = [to("email", "a@b.c"), to("slack", "#dev")]

    routing = routed(notifications, known(shared, hidden, labels={"tier": "prod"}))
    assert sent(routing) == {"shared": ("a@b.c",)}
    assert [unrouted.recipients for unrouted in routing.unrouted] == [("#dev",)]
    assert sent(routed(notifications, known(shared, hidden))) == {}

    own = known(shared, channel("email", "own"), labels={"tier": "prod"})
    assert sent(routed([to("email", "a@b.c")], own)) == {"own": ("a@b.c",)}
    assert sent(routed([to("email", "a@b.c", channelRef={"name": "shared"})], own)) == {"shared": ("a@b.c",)}


def test_cluster_options_use_channels_of_the_operators_namespace_only() -> None:
    channels = known(channel("email", "own"), channel("email", "platform", OPERATOR))
    assert sent(routed([to("email", "a@b.c")], channels, cluster=True)) == {"platform": ("a@b.c",)}
    named = [to("email", "a@b.c", channelRef={"name": "own"})]
    assert routed(named, channels, cluster=True).unrouted[0].reason == "ChannelMissing"


def test_a_channel_of_a_third_namespace_is_out_of_reach() -> None:
    foreign = channel("email", "mail", "another", allowedNamespaces={})
    assert sent(routed([to("email", "a@b.c")], known(foreign))) == {}


def test_a_success_resolves_in_pagerduty_even_if_only_failures_are_notified() -> None:
    channels = known(channel("pagerDuty", "pager"), channel("email", "mail"))
    notifications = [to("pagerDuty", "db"), to("email", "a@b.c")]
    (due,) = routed(notifications, channels, "SUCCEEDED").due
    assert (due.channel.name, due.resolves) == ("pager", True)
    assert not any(due.resolves for due in routed(notifications, channels, "FAILED").due)


def test_one_channel_gets_one_message_for_each_template() -> None:
    channels = known(channel("email", "mail"))
    body = {"template": {"body": "x"}}
    routing = routed([to("email", "a@b.c"), to("email", "d@b.c"), to("email", "e@b.c", **body)], channels)
    assert [(due.recipients, due.template is None) for due in routing.due] == [
        (("a@b.c", "d@b.c"), True),
        (("e@b.c",), False),
    ]


def test_suppressed_notifications_are_still_due_and_have_a_reason() -> None:
    channels = known(channel("email", "mail"))
    by_options = routed([to("email", "a@b.c")], channels, disableNotifications=True)
    assert sent(by_options) == {"mail": ("a@b.c",)}
    assert by_options.suppressed == "disableNotifications of ExecutionOptions o (namespace default)"
    by_execution = routed([to("email", "a@b.c")], channels, disabled=True)
    assert by_execution.suppressed == "the execution has the annotation execution.dev/disable-notifications"


WHO = st.lists(st.sampled_from(["#a", "#b", "U1", "x@y.z", "p@q.r"]), min_size=1, max_size=4)
PHASES = st.lists(st.sampled_from(TERMINAL_PHASES), min_size=1, max_size=4, unique=True)
NOTIFICATIONS = st.lists(
    st.one_of(
        st.builds(lambda phases: to("email", "x@y.z", "p@q.r", phases=phases), PHASES),
        st.builds(lambda who, phases: to("slack", *who, phases=phases), WHO, PHASES),
        st.builds(lambda who, phases: to("pagerDuty", *who, phases=phases), WHO, PHASES),
        st.builds(lambda phases: to("webhook", phases=phases), PHASES),
    ),
    max_size=5,
)
CHANNELS = st.lists(
    st.builds(
        lambda kind, name, ns, default: channel(kind, name, ns, default=default, allowedNamespaces={}),
        st.sampled_from(sorted(TYPES)),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([TEAM, OPERATOR, "another"]),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one.key,
)


@given(notifications=NOTIFICATIONS, channels=CHANNELS, phase=st.sampled_from(TERMINAL_PHASES), cluster=st.booleans())
def test_every_recipient_is_reached_once_or_reported_as_unrouted(
    notifications: list[dict[str, Any]], channels: list[Channel], phase: Phase, *, cluster: bool
) -> None:
    routing = routed(notifications, known(*channels), phase, cluster=cluster)

    assert len({(due.channel, due.template) for due in routing.due}) == len(routing.due)
    by_key = {one.key: one for one in channels}
    for due in routing.due:
        chosen = by_key[due.channel]
        assert due.channel.namespace in ((OPERATOR,) if cluster else (TEAM, OPERATOR))
        assert chosen.spec.default is True
        assert len(set(due.recipients)) == len(due.recipients) > 0
        assert due.recipients == ("",) or not chosen.is_destination
        if due.type == "email":
            assert all("@" in who for who in due.recipients)
    reached = {who for due in routing.due for who in due.recipients}
    missed = {who for unrouted in routing.unrouted for who in unrouted.recipients}
    for one in notifications:
        if phase in one["phases"]:
            for who in recipients(convert(one, Notification)):
                assert who in reached | missed or "" in reached
    assert routed(notifications, known(*reversed(channels)), phase, cluster=cluster) == routing


def test_a_recovery_is_told_to_those_who_are_told_of_failures_and_of_no_success() -> None:
    channels = known(channel("email", "mail"))
    both = [
        to("email", "a@b.c", "d@e.f", onRecovery=True),
        to("email", "d@e.f", phases=["SUCCEEDED"]),
        to("email", "x@y.z"),
    ]
    failed = routed(both, channels)
    assert [(due.recipients, due.on_recovery, due.recovers) for due in failed.due] == [
        (("a@b.c", "d@e.f", "x@y.z"), True, False)
    ]
    succeeded = routed(both, channels, "SUCCEEDED")
    assert {(due.recipients, due.recovers) for due in succeeded.due} == {(("a@b.c",), True), (("d@e.f",), False)}
    assert routed(both, channels, "TIMED_OUT").due == ()


def test_an_incident_is_resolved_with_or_without_on_recovery() -> None:
    channels = known(channel("pagerDuty", "pager"))
    for more in ({}, {"onRecovery": True}):
        (due,) = routed([to("pagerDuty", "svc", **more)], channels, "SUCCEEDED").due
        assert (due.resolves, due.recovers, due.on_recovery) == (True, False, False)
