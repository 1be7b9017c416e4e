"""Channels of services that get one HTTP request for each message, and of any other such service."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType, field

from execution_options.api import channel_rules
from execution_options.api.base import ATOMIC, GRANULAR, SET, Resource, described, number
from execution_options.api.transports import CertificateAuthority, KeyRef, NameRef


class ServiceChannel(Resource, frozen=True):
    """An incoming webhook of a service."""

    url_secret_ref: Annotated[
        KeyRef,
        described("URL of the incoming webhook. Whoever knows it can post, so it is in a Secret.", extra=ATOMIC),
    ]
    ca: CertificateAuthority | UnsetType = UNSET


class OpsgenieChannel(Resource, frozen=True):
    """An integration of Opsgenie, or of another service with its alert API."""

    api_key_secret_ref: Annotated[KeyRef, described("Key of an API integration.", extra=ATOMIC)]
    api_url: (
        Annotated[
            str,
            described(
                "URL for alerts. Absent: https://api.opsgenie.com/v2/alerts; for the European region "
                "https://api.eu.opsgenie.com/v2/alerts.",
                channel_rules.URL,
                max_length=512,
            ),
        ]
        | UnsetType
    ) = field(name="apiURL", default=UNSET)
    ca: CertificateAuthority | UnsetType = UNSET


class HttpSuccess(Resource, frozen=True):
    """Which answers mean that the service has the message."""

    statuses: (
        Annotated[
            tuple[Annotated[int, number("An HTTP status.", ge=200, le=299)], ...],
            described("Statuses of a success. Absent: every 2xx.", extra=SET, max_length=8),
        ]
        | UnsetType
    ) = UNSET
    path: (
        Annotated[
            str,
            described(
                "Path of a member of the JSON answer, for example .result.ok or .errors[0]. Absent: the whole answer.",
                channel_rules.ANSWER_PATH,
                max_length=256,
            ),
        ]
        | UnsetType
    ) = UNSET
    value: (
        Annotated[
            str,
            described(
                "The member, or the whole answer, as text: for example ok, true or 0. Absent: it only has to exist.",
                max_length=256,
            ),
        ]
        | UnsetType
    ) = UNSET


class HttpChannel(Resource, frozen=True):
    """Any service that takes a message as one HTTP request with JSON."""

    body: Annotated[
        str,
        described(
            "The request's body: a JSON object whose texts are templates. A member whose template gives an empty text "
            "is left out. An object with $if is left out where that template gives an empty text; an item of a list "
            'with "$each": "facts" is repeated for each fact.',
            channel_rules.JSON_BODY,
            max_length=16384,
        ),
    ]
    url: (
        Annotated[
            str,
            described(
                "URL of the service. Exactly one of url and urlSecretRef is given.", channel_rules.URL, max_length=2048
            ),
        ]
        | UnsetType
    ) = UNSET
    url_secret_ref: (
        Annotated[
            KeyRef,
            described(
                "URL of the service, if it is a secret. Exactly one of url and urlSecretRef is given.", extra=ATOMIC
            ),
        ]
        | UnsetType
    ) = UNSET
    method: Annotated[Literal["POST", "PUT", "PATCH"], described("HTTP method. Absent: POST.")] | UnsetType = UNSET
    headers: (
        Annotated[
            dict[str, Annotated[str, described(None, channel_rules.HEADER_VALUE, max_length=1024)]],
            described(
                "Headers of each request that are no secrets.",
                channel_rules.HEADER_NAMES,
                extra=GRANULAR,
                max_length=16,
            ),
        ]
        | UnsetType
    ) = UNSET
    headers_secret_ref: (
        Annotated[
            NameRef,
            described(
                "Secret with headers of each request, such as Authorization: its keys are their names, its values "
                "their values.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET
    escape: (
        Annotated[
            Literal["None", "HTML", "Markdown"],
            described(
                "How the service reads texts, so that nothing in an execution becomes a link, a mention or other "
                "markup. None (also when absent): as plain text."
            ),
        ]
        | UnsetType
    ) = UNSET
    success: (
        Annotated[
            HttpSuccess,
            described("Answers that mean that the service has the message. Absent: every status 2xx."),
        ]
        | UnsetType
    ) = UNSET
    idempotency_header: (
        Annotated[
            str,
            described(
                "Header with a key that is the same in every attempt to send a message, for a service that recognises "
                "repetitions by it, for example Idempotency-Key.",
                channel_rules.HEADER_NAME,
                max_length=128,
            ),
        ]
        | UnsetType
    ) = UNSET
    messages_per_second: (
        Annotated[int, number("Most messages that are sent in a second. Absent: no limit.", ge=1, le=1000)] | UnsetType
    ) = UNSET
    ca: CertificateAuthority | UnsetType = UNSET
