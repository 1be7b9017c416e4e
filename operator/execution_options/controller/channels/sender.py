"""Sends by the channels of the cluster, with their references as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.kube.client import REQUEST_ERRORS
from execution_options.providers.answer import Answer, permanent, temporary
from execution_options.providers.material import MaterialError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.controller.cache import Directory
    from execution_options.controller.channels.reconciler import ChannelReconciler
    from execution_options.controller.channels.secrets import Materials
    from execution_options.notifications.route import Channel, ChannelKey
    from execution_options.providers.factory import Providers
    from execution_options.providers.parcel import Parcel


NO_CHANNEL: Final = "no channel reached them when it was recorded, and it stays so: later ends use channels of now"


class ChannelPost:
    """Sends by channels.

    Args:
        materials: reads what they refer to, for every attempt, so that a rotated secret is used at once.
        providers: sends messages, by type of channel.
        reports: receives the results.
    """

    def __init__(
        self, directory: Directory, materials: Materials, providers: Providers, reports: ChannelReconciler
    ) -> None:
        self._directory = directory
        self._materials = materials
        self._providers = providers
        self._reports = reports

    async def send(self, key: ChannelKey, parcel: Parcel) -> Mapping[str, Answer]:
        """Make one attempt to send a message; the answer for each recipient."""
        if not key.name:
            # A redelivery of what had no channel was requested.
            return dict.fromkeys(parcel.recipients, permanent("NoChannel", NO_CHANNEL))
        channel = self._directory.get(key)
        if channel is None:
            missing = temporary("ChannelMissing", f"there is no NotificationChannel {key.namespace}/{key.name}")
            return dict.fromkeys(parcel.recipients, missing)
        if self._reports.is_gone(key):
            gone = "the webhook answered 410 before, and nothing is sent to it until the channel is edited"
            return dict.fromkeys(parcel.recipients, permanent("Gone", gone, blames_channel=True))
        answers = await self._sent(channel, parcel)
        self._reports.sent(key, answers)
        return answers

    async def _sent(self, channel: Channel, parcel: Parcel) -> Mapping[str, Answer]:
        try:
            material = await self._materials.of(channel.key, channel.spec)
        except MaterialError as error:
            # This can be corrected, and the message must arrive then.
            unread = temporary(error.reason, str(error), blames_channel=True)
        except REQUEST_ERRORS as error:
            unread = temporary("SecretUnread", f"its Secrets cannot be read: {type(error).__name__}")
        else:
            return await self._providers.send(channel.spec, material, parcel)
        return dict.fromkeys(parcel.recipients, unread)
