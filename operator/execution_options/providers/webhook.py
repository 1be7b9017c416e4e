"""Webhooks as specified by Standard Webhooks, with a CloudEvent as the body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from execution_options.notifications.naming import webhook_id
from execution_options.providers.answer import Answer, accepted
from execution_options.providers.headers import of_secret
from execution_options.providers.http import now, refused
from execution_options.providers.material import MaterialError

if TYPE_CHECKING:
    from execution_options.api.transports import WebhookChannel
    from execution_options.providers.http import Http
    from execution_options.providers.material import Material
    from execution_options.providers.parcel import Parcel

PREFIX: Final = "whsec_"


async def send(http: Http, channel: WebhookChannel, material: Material, parcel: Parcel) -> dict[str, Answer]:
    """Send the message to the channel's URL. Arguments as for :meth:`Providers.send`."""
    url = material.text(channel.url_secret_ref) if channel.url_secret_ref is not UNSET else channel.url or ""
    body = parcel.message.payload.encode()
    reply = await http.request(
        "POST",
        url,
        headers=headers(channel, material, webhook_id(parcel.key), now(), body),
        body=body,
        ca="" if channel.ca is UNSET else material.authority(channel.ca),
    )
    answer = accepted(f"HTTP {reply.status}") if 200 <= reply.status < 300 else refused(reply, reply.body)
    return dict.fromkeys(parcel.recipients, answer)


def headers(channel: WebhookChannel, material: Material, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        channel: the channel.
        material: data of its Secrets.
        message: ``webhook-id``.
        timestamp: ``webhook-timestamp``, as Unix seconds.
        body: the body, exactly as it is sent.

    Raises:
        MaterialError: a Secret contains something that cannot be used.
    """
    made = of_secret(material.headers(channel.headers_secret_ref)) if channel.headers_secret_ref is not UNSET else {}
    made |= {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
    }
    if channel.signing_secret_refs is not UNSET and channel.signing_secret_refs:
        keys = [_key(material.text(ref)) for ref in channel.signing_secret_refs]
        made["webhook-signature"] = " ".join(signature(key, message, timestamp, body) for key in keys)
    return made


def signature(key: bytes, message: str, timestamp: int, body: bytes) -> str:
    """The signature of a message: ``v1,`` and the HMAC-SHA256 of ``id.timestamp.body`` in base64.

    Args:
        key: the decoded secret.
        message: ``webhook-id``.
        timestamp: ``webhook-timestamp``, as Unix seconds.
        body: the body, exactly as it is sent.
    """
    signed = f"{message}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not key:
        raise MaterialError("SecretInvalid", "a signing secret is not whsec_ followed by base64")
    return key
