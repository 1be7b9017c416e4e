"""``NotificationChannel``: how to reach a service that sends notifications.

Secrets, and URLs that are secrets, are references only, so that a channel can be kept in git and read by everybody.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec resolves it
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, UnsetType, field

from execution_options.api import channel_rules, names
from execution_options.api.base import ATOMIC, ATOMIC_LIST, Resource, described, number
from execution_options.api.grouping import Grouping
from execution_options.api.http_transport import HttpChannel, OpsgenieChannel, ServiceChannel
from execution_options.api.kind import AGE, PROBLEM_COLUMN, PROBLEM_MESSAGE, READY, Kind, column
from execution_options.api.mute import Mute
from execution_options.api.notification_rules import NO_GROUP_OF_INCIDENTS
from execution_options.api.selector import LabelSelector
from execution_options.api.status import BY_TYPE, PROBLEM, Condition, WorstCondition
from execution_options.api.transports import EmailChannel, FallbackRef, PagerDutyChannel, SlackChannel, WebhookChannel

ServiceType = Literal["teams", "googleChat", "discord", "mattermost", "rocketChat", "opsgenie", "http"]
"""Services that a page of YAML describes; the page of ``http`` is the channel itself."""
ChannelType = Literal["email", "slack", "pagerDuty", "webhook", ServiceType]


class NotificationChannelSpec(Resource, frozen=True):
    """How to reach a service."""

    default: (
        Annotated[
            bool,
            described(
                "true: notifications of this type that name no channel are sent through this one. A default of the "
                "namespace precedes one of the operator's namespace."
            ),
        ]
        | UnsetType
    ) = UNSET
    allowed_namespaces: (
        Annotated[
            LabelSelector,
            described(
                "In the operator's namespace: namespaces whose options may use this channel, by their labels; {}: all. "
                "Absent: only cluster options may. It has no effect in other namespaces.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET
    execution_url: (
        Annotated[
            str,
            described(
                "Link to the execution in the user interface of its engine; it can use the variables of templates. "
                "Absent: messages have no link.",
                channel_rules.EXECUTION_URL,
                max_length=1024,
            ),
        ]
        | UnsetType
    ) = field(name="executionURL", default=UNSET)
    proxy_url: (
        Annotated[
            str,
            described(
                "Proxy for HTTP requests of this channel (all services but email). The operator must be allowed to "
                "connect to it, as to any other address. Absent: the proxy of the operator's environment, if any.",
                channel_rules.PROXY_URL,
                max_length=512,
            ),
        ]
        | UnsetType
    ) = field(name="proxyURL", default=UNSET)
    fallback_channel_ref: (
        Annotated[
            FallbackRef,
            described(
                "Channel of the same namespace that gets what this one has given up on: of the same type, with the "
                "recipients that did not get the message, or of a service without recipients. Absent: none.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET
    mute: (
        Annotated[
            tuple[Mute, ...],
            described(
                "Times at which messages wait until they are over. Nothing is dropped. Tests do not wait, nor what "
                "opens or closes an incident of PagerDuty or Opsgenie: FAILED, TIMED_OUT and SUCCEEDED. Absent: none.",
                channel_rules.SOME_TIME,
                extra=ATOMIC_LIST,
                max_length=16,
            ),
        ]
        | UnsetType
    ) = UNSET
    email: (
        Annotated[
            EmailChannel,
            described("Send by SMTP. Exactly one service is given."),
        ]
        | UnsetType
    ) = UNSET
    slack: (
        Annotated[
            SlackChannel,
            described(
                "Send to Slack, or to a service that accepts its messages. Exactly one service is given.",
                channel_rules.ONE_SLACK,
                channel_rules.SUCCESS_OF_WEBHOOK,
            ),
        ]
        | UnsetType
    ) = UNSET
    pager_duty: (
        Annotated[
            PagerDutyChannel,
            described(
                "Send to PagerDuty. Exactly one service is given.",
                channel_rules.SOME_ROUTING_KEY,
            ),
        ]
        | UnsetType
    ) = UNSET
    webhook: (
        Annotated[
            WebhookChannel,
            described(
                "Send a signed CloudEvent by HTTP. Exactly one service is given.",
                channel_rules.ONE_WEBHOOK_URL,
            ),
        ]
        | UnsetType
    ) = UNSET

    teams: (
        Annotated[
            ServiceChannel,
            described("Send to Microsoft Teams, by a webhook of Workflows. Exactly one service is given."),
        ]
        | UnsetType
    ) = UNSET
    google_chat: (
        Annotated[ServiceChannel, described("Send to a space of Google Chat. Exactly one service is given.")]
        | UnsetType
    ) = UNSET
    discord: (
        Annotated[ServiceChannel, described("Send to a channel of Discord. Exactly one service is given.")] | UnsetType
    ) = UNSET
    mattermost: (
        Annotated[ServiceChannel, described("Send to a channel of Mattermost. Exactly one service is given.")]
        | UnsetType
    ) = UNSET
    rocket_chat: (
        Annotated[ServiceChannel, described("Send to a channel of Rocket.Chat. Exactly one service is given.")]
        | UnsetType
    ) = UNSET
    opsgenie: (
        Annotated[
            OpsgenieChannel,
            described(
                "Open alerts of Opsgenie, and close them when a later run succeeds. Exactly one service is given."
            ),
        ]
        | UnsetType
    ) = UNSET
    http: (
        Annotated[
            HttpChannel,
            described(
                "Send to any other service by an HTTP request. Exactly one service is given.",
                channel_rules.ONE_HTTP_URL,
            ),
        ]
        | UnsetType
    ) = UNSET

    log_lines: (
        Annotated[
            int,
            number(
                "Last lines of the log of the container that failed first, in messages about a failure. The operator "
                "needs the right to get pods/log in the namespace of the execution. Absent or 0: no log is read.",
                ge=0,
                le=100,
            ),
        ]
        | UnsetType
    ) = UNSET
    group: (
        Annotated[
            Grouping,
            described(
                "Send several as one message, unless they ask for another group themselves. Absent: each by itself.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET

    @property
    def type(self) -> ChannelType:
        """Type of the service."""
        return next(name for field, name in CHANNEL_TYPES.items() if getattr(self, field) is not UNSET)


CHANNEL_TYPES: Final[Mapping[str, ChannelType]] = {
    "email": "email",
    "slack": "slack",
    "pager_duty": "pagerDuty",
    "webhook": "webhook",
    "teams": "teams",
    "google_chat": "googleChat",
    "discord": "discord",
    "mattermost": "mattermost",
    "rocket_chat": "rocketChat",
    "opsgenie": "opsgenie",
    "http": "http",
}
"""The types of channels by the attribute that a channel, or a notification, has for each."""


class DeliveryCounts(Resource, frozen=True):
    """Number of messages, one for each recipient, since the channel was created."""

    delivered: Annotated[int, number("Messages that the service accepted.", ge=0)] | UnsetType = UNSET
    failed: Annotated[int, number("Messages that the service refused for good.", ge=0)] | UnsetType = UNSET


class NotificationChannelStatus(Resource, frozen=True):
    """Whether the channel works; written on change, at most every 10 seconds."""

    observed_generation: (
        Annotated[int, number("The metadata.generation that the operator has processed.", ge=0)] | UnsetType
    ) = UNSET
    type: (
        Annotated[
            ChannelType,
            described("Type of the service, for example email."),
        ]
        | UnsetType
    ) = UNSET
    conditions: (
        Annotated[
            tuple[Condition, ...],
            described(
                "Ready: whether messages can be sent, and what was wrong with the last one.",
                extra=BY_TYPE,
                max_length=16,
            ),
        ]
        | UnsetType
    ) = UNSET
    problem: Annotated[WorstCondition, described(PROBLEM)] | UnsetType = UNSET
    last_delivered: Annotated[datetime, described("When the service last accepted a message.", tz=True)] | UnsetType = (
        UNSET
    )
    deliveries: Annotated[DeliveryCounts, described("Number of messages.")] | UnsetType = UNSET


CHANNEL: Final = Kind(
    kind=names.CHANNEL_KIND,
    plural=names.CHANNEL_PLURAL,
    short_name="nch",
    scope="Namespaced",
    description=(
        "NotificationChannel describes how notifications of its namespace reach a service: an SMTP server, Slack, "
        "PagerDuty, Teams, a webhook or another one. Those in the operator's namespace are offered to the "
        "namespaces that they allow."
    ),
    spec=NotificationChannelSpec,
    status=NotificationChannelStatus,
    spec_rules=(channel_rules.ONE_TYPE, channel_rules.NO_PROXY_FOR_MAIL, NO_GROUP_OF_INCIDENTS),
    columns=(
        column("Type", ".status.type", "Type of the service."),
        column("Ready", f"{READY}.status", "Whether messages can be sent."),
        PROBLEM_COLUMN,
        column("Default", ".spec.default", "Used where a notification names no channel.", kind="boolean"),
        column("Delivered", ".status.deliveries.delivered", "Messages that were accepted.", kind="integer"),
        column("Failed", ".status.deliveries.failed", "Messages that were refused for good.", kind="integer"),
        column("Last", ".status.lastDelivered", "Time since the last message was accepted.", kind="date"),
        column("Reason", f"{READY}.reason", "Why the channel is ready, or not.", wide=True),
        column("Message", f"{READY}.message", "Details of the reason.", wide=True),
        PROBLEM_MESSAGE,
        AGE,
    ),
)
