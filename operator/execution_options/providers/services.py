"""Services that a page describes: one HTTP request with JSON for each message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.notifications import page as pages
from execution_options.notifications.naming import webhook_id
from execution_options.notifications.page import Filled
from execution_options.providers.answer import Answer, accepted, permanent
from execution_options.providers.headers import of_secret
from execution_options.providers.http import refused

if TYPE_CHECKING:
    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.api.http_transport import HttpChannel, HttpSuccess, OpsgenieChannel, ServiceChannel
    from execution_options.notifications.page import Page
    from execution_options.providers.http import Http, Reply
    from execution_options.providers.material import Material
    from execution_options.providers.parcel import Parcel

OPSGENIE: Final = "https://api.opsgenie.com/v2/alerts"
_STEP: Final = re.compile(r"\.([-_0-9A-Za-z]+)|\[([0-9]+)\]")
_MISSING: Final = object()


async def send(http: Http, spec: NotificationChannelSpec, material: Material, parcel: Parcel) -> dict[str, Answer]:
    """Send the message to the channel's URL. Arguments as for :meth:`Providers.send`."""
    page, url, headers, ca = _target(spec, material, parcel.key)
    requests = [decoding.read(text, Filled) for text in (parcel.message.payload, parcel.message.resolve) if text]
    if not requests:
        return dict.fromkeys(parcel.recipients, permanent("BodyTooLarge", parcel.message.note, blames_channel=True))
    for request in requests:
        reply = await http.request(
            page.method, url + request.path, headers=headers, body=msgspec.json.encode(request.body), ca=ca
        )
        answer = judged(reply, page.success)
        if answer.result != "Accepted":
            break
    return dict.fromkeys(parcel.recipients, answer)


def _target(spec: NotificationChannelSpec, material: Material, key: str) -> tuple[Page, str, dict[str, str], str]:
    """The page of a channel, and the URL, headers and certificate authority of its requests."""
    headers = {"content-type": "application/json; charset=utf-8"}
    if spec.http is not UNSET:
        url, more = of_http(spec.http, material, key)
        return pages.of_channel(spec.http), url, more | headers, _authority(spec.http, material)
    page = pages.builtin()[spec.type]
    if spec.opsgenie is not UNSET:
        headers["authorization"] = f"GenieKey {material.text(spec.opsgenie.api_key_secret_ref)}"
        url = (spec.opsgenie.api_url or OPSGENIE).rstrip("/")
        return page, url, headers, _authority(spec.opsgenie, material)
    service = spec.teams or spec.google_chat or spec.discord or spec.mattermost or spec.rocket_chat
    if not service:
        raise ValueError("a channel without a type")
    # If a service closed a reused connection at the wrong moment, nobody would know whether it has the message.
    return page, material.text(service.url_secret_ref), headers | {"connection": "close"}, _authority(service, material)


def _authority(channel: HttpChannel | OpsgenieChannel | ServiceChannel, material: Material) -> str:
    return "" if channel.ca is UNSET else material.authority(channel.ca)


def of_http(channel: HttpChannel, material: Material, key: str) -> tuple[str, dict[str, str]]:
    """The URL and the headers of requests, without the type of their content.

    Args:
        channel: the channel.
        material: data of its Secrets.
        key: ``namespace/name`` of the delivery.

    Raises:
        MaterialError: a Secret contains something that cannot be used.
    """
    url = material.text(channel.url_secret_ref) if channel.url_secret_ref is not UNSET else channel.url or ""
    headers = {} if channel.headers is UNSET else {name.lower(): value for name, value in channel.headers.items()}
    if channel.headers_secret_ref is not UNSET:
        headers |= of_secret(material.headers(channel.headers_secret_ref))
    if channel.idempotency_header is not UNSET:
        headers[channel.idempotency_header.lower()] = webhook_id(key)
    else:
        headers["connection"] = "close"
    return url, headers


def judged(reply: Reply, success: HttpSuccess) -> Answer:
    """The answer that a reply means.

    Args:
        reply: the service's reply.
        success: the replies that mean a success.
    """
    statuses = success.statuses or range(200, 300)
    if reply.status not in statuses:
        return refused(reply, reply.body)
    if success.path is UNSET and success.value is UNSET:
        return accepted(f"HTTP {reply.status}")
    found = reply.body.strip() if success.path is UNSET else _member(reply.body, success.path)
    if found is not _MISSING and success.value in (UNSET, found):
        return accepted(f"HTTP {reply.status}")
    wanted = "the answer" if success.path is UNSET else success.path
    wanted += "" if success.value is UNSET else f" = {success.value}"
    return permanent("UnexpectedAnswer", f"HTTP {reply.status} without {wanted}: {reply.body}", blames_channel=True)


def _member(body: str, path: str) -> object:
    """The member at a path of a JSON document, as text; ``_MISSING`` if there is none."""
    try:
        node = decoding.read(body, object)
    except UnreadableError:
        return _MISSING
    for step in _STEP.finditer(path):
        name, index = step.groups()
        if name is not None and isinstance(node, dict) and name in node:
            node = node[name]
        elif index is not None and isinstance(node, list) and int(index) < len(node):
            node = node[int(index)]
        else:
            return _MISSING
    return node if isinstance(node, str) else msgspec.json.encode(node).decode()
