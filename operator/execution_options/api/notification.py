"""Notifications of the end of an execution."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api import rules
from execution_options.api.base import ATOMIC, ATOMIC_LIST, SET, Resource, described
from execution_options.api.grouping import Grouping

TERMINAL_PHASES = ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
"""Flyte's terminal ``WorkflowExecutionPhase`` names."""

Phase = Literal["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]

_Recipient = Annotated[str, described(None, rules.RECIPIENT, max_length=320)]


class Email(Resource, frozen=True):
    """Notify by e-mail."""

    recipients: Annotated[
        tuple[Annotated[str, described(None, rules.EMAIL_ADDRESS, max_length=320)], ...],
        described(
            "E-mail addresses, at least one; each gets a message of its own.",
            rules.SOME_RECIPIENT,
            extra=ATOMIC_LIST,
            max_length=64,
        ),
    ]


class Slack(Resource, frozen=True):
    """Notify in Slack."""

    recipients: Annotated[
        tuple[_Recipient, ...],
        described(
            "Channels (#name), channel or user ids, or e-mail addresses of Slack users, at least one. Addresses get "
            "mail if there is no NotificationChannel for Slack. Quote a #name: YAML reads it as a comment otherwise.",
            rules.SOME_RECIPIENT,
            extra=ATOMIC_LIST,
            max_length=64,
        ),
    ]


class PagerDuty(Resource, frozen=True):
    """Notify by PagerDuty."""

    recipients: Annotated[
        tuple[_Recipient, ...],
        described(
            "Names of services of the channel, at least one. A name that is an address gets mail if there is no "
            "NotificationChannel for PagerDuty.",
            rules.SOME_RECIPIENT,
            extra=ATOMIC_LIST,
            max_length=64,
        ),
    ]


class Webhook(Resource, frozen=True):
    """Notify by an HTTP request to the channel's URL."""


class Service(Resource, frozen=True):
    """Notify the place that the channel's webhook or key belongs to."""


class ChannelRef(Resource, frozen=True):
    """A NotificationChannel by name."""

    name: Annotated[
        str,
        described(
            "Name of the NotificationChannel, in the namespace of these options or offered to it by the operator's; "
            "for cluster options in the operator's namespace.",
            rules.CHANNEL_NAME,
            max_length=253,
        ),
    ]


class Template(Resource, frozen=True):
    """The text of a notification instead of the default one."""

    subject: (
        Annotated[
            str,
            described("Subject or title, one line. Absent: the default subject.", rules.SUBJECT_LINE, max_length=256),
        ]
        | UnsetType
    ) = UNSET
    body: (
        Annotated[str, described("Body of the message. Absent: the default body.", rules.BODY_TEXT, max_length=4096)]
        | UnsetType
    ) = UNSET


class Notification(Resource, frozen=True):
    """Recipients to notify when an execution reaches one of these phases."""

    phases: Annotated[
        tuple[Phase, ...],
        described(
            "Terminal phases to notify of, at least one: SUCCEEDED, FAILED, ABORTED, TIMED_OUT.",
            rules.SOME_PHASE,
            extra=SET,
            max_length=4,
        ),
    ]
    email: (
        Annotated[
            Email,
            described("Notify by e-mail. Exactly one way is given."),
        ]
        | UnsetType
    ) = UNSET
    slack: (
        Annotated[
            Slack,
            described("Notify in Slack. Exactly one way is given."),
        ]
        | UnsetType
    ) = UNSET
    pager_duty: (
        Annotated[
            PagerDuty,
            described("Notify by PagerDuty. Exactly one way is given."),
        ]
        | UnsetType
    ) = UNSET
    webhook: (
        Annotated[
            Webhook,
            described("Notify by an HTTP request to the channel's URL; written as {}. Exactly one way is given."),
        ]
        | UnsetType
    ) = UNSET
    teams: (
        Annotated[Service, described("Notify in Microsoft Teams; written as {}. Exactly one way is given.")] | UnsetType
    ) = UNSET
    google_chat: (
        Annotated[Service, described("Notify in Google Chat; written as {}. Exactly one way is given.")] | UnsetType
    ) = UNSET
    discord: (
        Annotated[Service, described("Notify in Discord; written as {}. Exactly one way is given.")] | UnsetType
    ) = UNSET
    mattermost: (
        Annotated[Service, described("Notify in Mattermost; written as {}. Exactly one way is given.")] | UnsetType
    ) = UNSET
    rocket_chat: (
        Annotated[Service, described("Notify in Rocket.Chat; written as {}. Exactly one way is given.")] | UnsetType
    ) = UNSET
    opsgenie: (
        Annotated[Service, described("Open an alert of Opsgenie; written as {}. Exactly one way is given.")] | UnsetType
    ) = UNSET
    http: (
        Annotated[
            Service,
            described("Notify by a channel that describes its service; written as {}. Exactly one way is given."),
        ]
        | UnsetType
    ) = UNSET
    channel_ref: (
        Annotated[
            ChannelRef,
            described("Channel to send through. Absent: the default channel of its type."),
        ]
        | UnsetType
    ) = UNSET
    template: (
        Annotated[
            Template,
            described(
                "Text of the message; absent parts keep the default. Absent: the default text.",
                rules.TEMPLATE_TEXT,
            ),
        ]
        | UnsetType
    ) = UNSET
    on_recovery: (
        Annotated[
            bool,
            described(
                "true: also notify of the first success after a failure or another end of these phases, by an "
                "execution of the same lineage that started after it. PagerDuty and Opsgenie do so in any case. "
                "Absent: false."
            ),
        ]
        | UnsetType
    ) = UNSET
    group: (
        Annotated[
            Grouping,
            described("Send several as one message. Absent: as the channel says.", extra=ATOMIC),
        ]
        | UnsetType
    ) = UNSET
