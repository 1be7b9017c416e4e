"""PagerDuty's Events API v2.

https://developer.pagerduty.com/docs/events-api-v2/overview/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from execution_options.api import decoding
from execution_options.providers.answer import Answer, accepted, permanent
from execution_options.providers.http import UnansweredError, refused

if TYPE_CHECKING:
    from execution_options.api.transports import PagerDutyChannel
    from execution_options.providers.http import Http
    from execution_options.providers.material import Material
    from execution_options.providers.parcel import Parcel

API: Final = "https://events.pagerduty.com/v2/enqueue"


async def send(http: Http, channel: PagerDutyChannel, material: Material, parcel: Parcel) -> dict[str, Answer]:
    """Send the event to the service of each recipient, once per service. Arguments as for :meth:`Providers.send`."""
    url = API if channel.api_url is UNSET else channel.api_url
    ca = "" if channel.ca is UNSET else material.authority(channel.ca)
    events = [decoding.read(text, dict[str, Any]) for text in (parcel.message.payload, parcel.message.resolve) if text]
    answers: dict[str, Answer] = {}
    of_key: dict[str, Answer] = {}
    for recipient in parcel.recipients:
        key = routing_key(channel, material, recipient)
        if key is None:
            answers[recipient] = permanent("UnknownService", "the channel has no service with this name")
            continue
        if key not in of_key:
            of_key[key] = await _send_all(http, url, events, key, ca)
        answers[recipient] = of_key[key]
    return answers


def routing_key(channel: PagerDutyChannel, material: Material, recipient: str) -> str | None:
    """The integration key for a recipient; ``None`` if the channel has none.

    Args:
        channel: the channel.
        material: data of its Secrets.
        recipient: name of a service.

    Raises:
        MaterialError: the Secret cannot be used.
    """
    services = () if channel.services is UNSET else channel.services
    refs = [service.routing_key_secret_ref for service in services if service.name == recipient]
    if refs:
        return material.text(refs[0])
    return None if channel.routing_key_secret_ref is UNSET else material.text(channel.routing_key_secret_ref)


async def _send_all(http: Http, url: str, events: list[dict[str, Any]], key: str, ca: str) -> Answer:
    """The answer to the last event, or to the first that is not accepted. Repeating an event changes nothing."""
    for event in events:
        answer = await _send(http, url, msgspec.json.encode({**event, "routing_key": key}), ca)
        if answer.result != "Accepted":
            break
    return answer


async def _send(http: Http, url: str, body: bytes, ca: str) -> Answer:
    try:
        reply = await http.request("POST", url, headers={"content-type": "application/json"}, body=body, ca=ca)
    except UnansweredError as error:
        return error.answer
    if reply.status == 202:
        return accepted("accepted by PagerDuty")
    if reply.status == 400:
        # PagerDuty gives the same answer for an unknown integration key and for an invalid event.
        return permanent("Refused", f"HTTP 400: {reply.body}", blames_channel=True)
    return refused(reply, reply.body)
