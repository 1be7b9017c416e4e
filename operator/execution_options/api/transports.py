"""How each service is reached: the parts of a channel that differ by its type."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType, field

from execution_options.api import channel_rules
from execution_options.api.base import ATOMIC, ATOMIC_LIST, BY_NAME, Resource, described, number


class KeyRef(Resource, frozen=True):
    """One key of a Secret or ConfigMap in the namespace of the channel."""

    name: Annotated[str, described("Name of the object.", channel_rules.SECRET_NAME, max_length=253)]
    key: Annotated[str, described("Key in its data.", channel_rules.SECRET_KEY, max_length=253)]


class NameRef(Resource, frozen=True):
    """A Secret in the namespace of the channel."""

    name: Annotated[str, described("Name of the Secret.", channel_rules.SECRET_NAME, max_length=253)]


class Authority(Resource, frozen=True):
    """Certificates (PEM) that the server's certificate must go back to, instead of the well-known ones."""

    config_map_ref: Annotated[KeyRef, described("Key of a ConfigMap.", extra=ATOMIC)] | UnsetType = UNSET
    secret_ref: Annotated[KeyRef, described("Key of a Secret.", extra=ATOMIC)] | UnsetType = UNSET


_Ca = Annotated[
    Authority,
    described(
        "Authority of the server's certificate, where it is not a well-known one. Exactly one of configMapRef "
        "and secretRef is given.",
        channel_rules.ONE_CA,
        extra=ATOMIC,
    ),
]


class SmtpAuth(Resource, frozen=True):
    """Credentials of the SMTP server."""

    username_secret_ref: Annotated[KeyRef, described("The user name.", extra=ATOMIC)]
    password_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "The password. Exactly one of passwordSecretRef and accessTokenSecretRef is given.", extra=ATOMIC
            ),
        ]
        | UnsetType
    ) = UNSET
    access_token_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "An OAuth 2.0 access token, for XOAUTH2 (Microsoft 365, Gmail). The Secret is read for every mail: "
                "something else has to renew it there. Exactly one of passwordSecretRef and accessTokenSecretRef is "
                "given.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET


class EmailChannel(Resource, frozen=True):
    """An SMTP server."""

    host: Annotated[str, described("Host of the SMTP server.", channel_rules.HOST, max_length=253)]
    from_: Annotated[
        str,
        described("Sender: name@domain or Name <name@domain>.", channel_rules.MAILBOX, max_length=320),
    ] = field(name="from")
    port: (
        Annotated[
            int,
            number("Port of the SMTP server. Absent: 587, with tls Implicit 465, with None 25.", ge=1, le=65535),
        ]
        | UnsetType
    ) = UNSET
    tls: (
        Annotated[
            Literal["StartTLS", "Implicit", "None"],
            described(
                "StartTLS (also when absent): the connection is encrypted before anything is said, or nothing is "
                "sent. Implicit: it is encrypted from the beginning. None: it is not encrypted, and no credentials "
                "are sent."
            ),
        ]
        | UnsetType
    ) = UNSET
    auth: (
        Annotated[SmtpAuth, described("Credentials. Absent: none are asked for.", channel_rules.ONE_CREDENTIAL)]
        | UnsetType
    ) = UNSET
    helo_name: (
        Annotated[
            str,
            described(
                "What the operator calls itself to the server (EHLO). Absent: the full domain name of its machine, or, "
                "where that has none, as in most pods, its address in brackets.",
                channel_rules.HELO_NAME,
                max_length=255,
            ),
        ]
        | UnsetType
    ) = UNSET
    ca: _Ca | UnsetType = UNSET
    reply_to: (
        Annotated[
            str,
            described("Where answers go. Absent: to the sender.", channel_rules.MAILBOX, max_length=320),
        ]
        | UnsetType
    ) = UNSET


class SlackChannel(Resource, frozen=True):
    """A Slack workspace."""

    bot_token_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "Token of a bot (xoxb-…) with the scope chat:write, and users:read.email for recipients that are "
                "addresses. Exactly one of botTokenSecretRef and webhookURLSecretRef is given.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET
    webhook_url_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "URL of an incoming webhook, which posts to one channel of Slack whatever the recipients are. "
                "Exactly one of botTokenSecretRef and webhookURLSecretRef is given.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = field(name="webhookURLSecretRef", default=UNSET)
    webhook_success: (
        Annotated[
            str,
            described(
                "What an incoming webhook's answer with status 200 is when it took the message: its text, or one "
                'member of its JSON object, for example {"success": true} (Rocket.Chat). Absent: ok (Slack, '
                "Mattermost).",
                channel_rules.WEBHOOK_SUCCESS,
                max_length=128,
            ),
        ]
        | UnsetType
    ) = UNSET
    api_url: (
        Annotated[
            str,
            described(
                "Slack's Web API, with a bot token. Absent: https://slack.com/api.", channel_rules.URL, max_length=512
            ),
        ]
        | UnsetType
    ) = field(name="apiURL", default=UNSET)
    ca: _Ca | UnsetType = UNSET


class PagerDutyService(Resource, frozen=True):
    """A service of PagerDuty."""

    name: Annotated[
        str,
        described(
            "What notifications have as recipient: a name or an address.", channel_rules.SERVICE_NAME, max_length=320
        ),
    ]
    routing_key_secret_ref: Annotated[KeyRef, described("Its integration key (Events API v2).", extra=ATOMIC)]


class PagerDutyChannel(Resource, frozen=True):
    """Services of PagerDuty."""

    routing_key_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "Integration key (Events API v2) for recipients that services does not name. Absent: there are "
                "none but those.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET
    services: (
        Annotated[
            tuple[PagerDutyService, ...],
            described("Services with an integration key of their own.", extra=BY_NAME, max_length=32),
        ]
        | UnsetType
    ) = UNSET
    api_url: (
        Annotated[
            str,
            described(
                "Where events are sent. Absent: https://events.pagerduty.com/v2/enqueue; for the European region "
                "https://events.eu.pagerduty.com/v2/enqueue.",
                channel_rules.URL,
                max_length=512,
            ),
        ]
        | UnsetType
    ) = field(name="apiURL", default=UNSET)
    ca: _Ca | UnsetType = UNSET


class WebhookChannel(Resource, frozen=True):
    """An HTTP endpoint."""

    url: (
        Annotated[
            str,
            described(
                "Where to send to. Exactly one of url and urlSecretRef is given.", channel_rules.URL, max_length=2048
            ),
        ]
        | UnsetType
    ) = UNSET
    url_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "Where to send to, where that is a secret. Exactly one of url and urlSecretRef is given.", extra=ATOMIC
            ),
        ]
        | UnsetType
    ) = UNSET
    signing_secret_refs: (
        Annotated[
            tuple[KeyRef, ...],
            described(
                "Secrets (whsec_…) that requests are signed with as Standard Webhooks says. With two, each request "
                "has both signatures, so that the receiver can change from one to the other. Absent: not signed.",
                extra=ATOMIC_LIST,
                max_length=4,
            ),
        ]
        | UnsetType
    ) = UNSET
    headers_secret_ref: (
        Annotated[
            NameRef,
            described("Secret whose keys are headers, and whose values are theirs, for each request.", extra=ATOMIC),
        ]
        | UnsetType
    ) = UNSET
    ca: _Ca | UnsetType = UNSET
