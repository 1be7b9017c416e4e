"""The parts of a channel that depend on its type."""

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


class FallbackRef(Resource, frozen=True):
    """Another NotificationChannel of the namespace."""

    name: Annotated[str, described("Name of the channel.", channel_rules.SECRET_NAME, max_length=253)]


class Authority(Resource, frozen=True):
    """Certificates (PEM) to verify the server with, instead of the well-known ones."""

    config_map_ref: Annotated[KeyRef, described("Key of a ConfigMap.", extra=ATOMIC)] | UnsetType = UNSET
    secret_ref: Annotated[KeyRef, described("Key of a Secret.", extra=ATOMIC)] | UnsetType = UNSET


CertificateAuthority = Annotated[
    Authority,
    described(
        "Certificate authority of the server, if it is not a well-known one. Exactly one of configMapRef and secretRef "
        "is given.",
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
                "An OAuth 2.0 access token, for XOAUTH2 (Microsoft 365, Gmail). The Secret is read for every mail; "
                "another program must renew the token in it. Exactly one of passwordSecretRef and "
                "accessTokenSecretRef is given.",
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
                "StartTLS (also when absent): the connection is encrypted before credentials and mail are sent, or "
                "nothing is sent. Implicit: it is encrypted from the beginning. None: it is not encrypted, and no "
                "credentials are sent."
            ),
        ]
        | UnsetType
    ) = UNSET
    auth: (
        Annotated[SmtpAuth, described("Credentials. Absent: the server needs none.", channel_rules.ONE_CREDENTIAL)]
        | UnsetType
    ) = UNSET
    helo_name: (
        Annotated[
            str,
            described(
                "Name that the operator gives the server (EHLO). Absent: the full domain name of its host or, if it "
                "has none, as in most pods, its address in brackets.",
                channel_rules.HELO_NAME,
                max_length=255,
            ),
        ]
        | UnsetType
    ) = UNSET
    ca: CertificateAuthority | UnsetType = UNSET
    reply_to: (
        Annotated[
            str,
            described("Address for replies. Absent: the sender.", channel_rules.MAILBOX, max_length=320),
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
                "Answer of an incoming webhook that accepted the message, with status 200: its text, or one member of "
                "its "
                'JSON object, for example {"success": true} (Rocket.Chat). Absent: ok (Slack, Mattermost).',
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
                "URL of Slack's Web API, for a bot token. Absent: https://slack.com/api.",
                channel_rules.URL,
                max_length=512,
            ),
        ]
        | UnsetType
    ) = field(name="apiURL", default=UNSET)
    ca: CertificateAuthority | UnsetType = UNSET


class PagerDutyService(Resource, frozen=True):
    """A service of PagerDuty."""

    name: Annotated[
        str,
        described("Recipient in notifications: a name or an address.", channel_rules.SERVICE_NAME, max_length=320),
    ]
    routing_key_secret_ref: Annotated[KeyRef, described("Its integration key (Events API v2).", extra=ATOMIC)]


class PagerDutyChannel(Resource, frozen=True):
    """Services of PagerDuty."""

    routing_key_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "Integration key (Events API v2) for recipients that are not in services. Absent: only those in "
                "services are possible.",
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
                "URL for events. Absent: https://events.pagerduty.com/v2/enqueue; for the European region "
                "https://events.eu.pagerduty.com/v2/enqueue.",
                channel_rules.URL,
                max_length=512,
            ),
        ]
        | UnsetType
    ) = field(name="apiURL", default=UNSET)
    ca: CertificateAuthority | UnsetType = UNSET


class WebhookChannel(Resource, frozen=True):
    """An HTTP endpoint."""

    url: (
        Annotated[
            str,
            described(
                "URL of the endpoint. Exactly one of url and urlSecretRef is given.", channel_rules.URL, max_length=2048
            ),
        ]
        | UnsetType
    ) = UNSET
    url_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "URL of the endpoint, if it is a secret. Exactly one of url and urlSecretRef is given.", extra=ATOMIC
            ),
        ]
        | UnsetType
    ) = UNSET
    signing_secret_refs: (
        Annotated[
            tuple[KeyRef, ...],
            described(
                "Secrets (whsec_…) to sign requests with, as Standard Webhooks specifies. With two, each request has "
                "both signatures, so that the receiver can change from one to the other. Absent: not signed.",
                extra=ATOMIC_LIST,
                max_length=4,
            ),
        ]
        | UnsetType
    ) = UNSET
    headers_secret_ref: (
        Annotated[
            NameRef,
            described(
                "Secret with headers of each request: its keys are their names, its values their values.", extra=ATOMIC
            ),
        ]
        | UnsetType
    ) = UNSET
    ca: CertificateAuthority | UnsetType = UNSET
