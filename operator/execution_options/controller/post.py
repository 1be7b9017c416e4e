"""Sends by the channels of the cluster, with what their references lead to now."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from execution_options.kube.client import ApiError, path_of
from execution_options.providers.answer import Answer, temporary
from execution_options.providers.material import Material, Reference, references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.controller.directory import Directory
    from execution_options.kube.client import Kube
    from execution_options.notifications.route import ChannelKey
    from execution_options.providers.factory import Providers
    from execution_options.providers.parcel import Parcel


class ChannelPost:
    """Sends by channels.

    Args:
        kube: for reading Secrets and ConfigMaps, anew for every attempt, so that a rotated one counts at once.
        directory: the channels.
        providers: what sends.
    """

    def __init__(self, kube: Kube, directory: Directory, providers: Providers) -> None:
        self._kube = kube
        self._directory = directory
        self._providers = providers

    async def send(self, key: ChannelKey, parcel: Parcel) -> Mapping[str, Answer]:
        """What became of the message for each recipient."""
        channel = self._directory.get(key)
        if channel is None:
            missing = temporary("ChannelMissing", f"there is no NotificationChannel {key.namespace}/{key.name}")
            return dict.fromkeys(parcel.recipients, missing)
        data: dict[Reference, Mapping[str, bytes]] = {}
        for reference in references(channel.spec):
            try:
                data[reference] = await self._data(key.namespace, reference)
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                unread = temporary("SecretMissing", _why(reference, error), blames_channel=True)
                return dict.fromkeys(parcel.recipients, unread)
        return await self._providers.send(channel.spec, Material(data), parcel)

    async def _data(self, namespace: str, reference: Reference) -> Mapping[str, bytes]:
        plural = "secrets" if reference.kind == "Secret" else "configmaps"
        found = await self._kube.get(path_of("", "v1", plural, namespace, reference.name))
        document: dict[str, Any] = msgspec.json.decode(found)
        data = document.get("data") or {}
        if reference.kind == "ConfigMap":
            return {key: value.encode() for key, value in data.items()}
        return {key: base64.b64decode(value) for key, value in data.items()}


def _why(reference: Reference, error: Exception) -> str:
    what = f"{reference.kind} {reference.name}"
    if isinstance(error, ApiError) and error.status == 404:
        return f"{what} does not exist"
    if isinstance(error, ApiError) and error.status == 403:
        return f"{what} may not be read"
    return f"{what} cannot be read: {type(error).__name__}"
