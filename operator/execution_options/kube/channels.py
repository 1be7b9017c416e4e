"""Notification channels in the API server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from execution_options.api import decoding, names
from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.meta import ObjectMeta
from execution_options.api.stored import unknown_fields
from execution_options.kube.client import path_of
from execution_options.notifications.route import Channel, ChannelKey, Channels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.kube.client import Kube

CHANNELS: Final = path_of(names.GROUP, names.VERSION, names.CHANNEL_PLURAL)


class ChannelObject(Struct, frozen=True):
    """A stored NotificationChannel, which a newer version of the operator may have written."""

    metadata: ObjectMeta
    spec: dict[str, Any]
    status: dict[str, Any] = {}


class _List(Struct, frozen=True):
    items: list[ChannelObject] | None = None


def channel_of(item: ChannelObject) -> Channel:
    """Return a channel without fields that this version does not know.

    Raises:
        msgspec.ValidationError: a known field has a value that this version does not understand.
    """
    known, _ = unknown_fields(item.spec, names.CHANNEL_KIND)
    key = ChannelKey(item.metadata.namespace, item.metadata.name)
    return Channel(key, msgspec.convert(known, NotificationChannelSpec))


async def read_channels(
    kube: Kube, namespace: str, namespace_labels: Mapping[str, str], operator_namespace: str
) -> Channels:
    """Read the channels that notifications of a namespace can use now.

    Args:
        kube: the connection.
        namespace: of the executions.
        namespace_labels: its labels.
        operator_namespace: its channels can be shared with other namespaces.

    Raises:
        execution_options.kube.client.ApiError: the API server refused a request.
    """
    places = sorted({namespace, operator_namespace})
    paths = (path_of(names.GROUP, names.VERSION, names.CHANNEL_PLURAL, place) for place in places)
    found: list[Channel] = []
    for answer in await asyncio.gather(*(kube.get(path) for path in paths)):
        for item in decoding.read(answer, _List).items or ():
            try:
                found.append(channel_of(item))
            except msgspec.ValidationError:
                continue  # the status of the channel reports it
    return Channels(found, namespace, namespace_labels, operator_namespace)
