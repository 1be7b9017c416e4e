"""Passes what a channel has given up on to its fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from execution_options.notifications.route import ChannelKey
from execution_options.outbox.fallback import compose_fallback, noted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from execution_options.controller.cache import Directory
    from execution_options.controller.outbox.delivery import Delivery
    from execution_options.controller.outbox.ledger import Ledger
    from execution_options.controller.runtime import Metrics
    from execution_options.notifications.message import Message
    from execution_options.outbox.state import Status


class Fallbacks:
    """Records deliveries by fallbacks.

    Args:
        directory: the channels.
        cluster: name of the cluster; empty for none.
    """

    def __init__(self, directory: Directory, ledger: Ledger, metrics: Metrics, cluster: str) -> None:
        self._directory = directory
        self._ledger = ledger
        self._metrics = metrics
        self._cluster = cluster

    async def pass_on(
        self, delivery: Delivery, ended: Status, message_of: Callable[[], Awaitable[Message | None]]
    ) -> Status | None:
        """Record the delivery by the fallback, if there is one, before a failure is final.

        In between, a crash has the message tried again by the channel; it is never lost. The name of the new delivery
        follows from that of the failed one, so that recording it again changes nothing.

        Args:
            delivery: a delivery.
            ended: the final status of its failure, which is about to be written.
            message_of: reads the message that failed; ``None`` if the delivery has changed.

        Returns:
            The status with a note; ``None`` if the delivery has changed meanwhile.
        """
        namespace = delivery.spec.channel.namespace
        channel = self._directory.get(ChannelKey(namespace, delivery.spec.channel.name))
        ref = UNSET if channel is None else channel.spec.fallback_channel_ref
        other = None if ref is UNSET else self._directory.get(ChannelKey(namespace, ref.name))
        if channel is None or other is None:
            return ended
        message = await message_of()
        if message is None:
            return None
        made = compose_fallback(delivery.key, delivery.spec, message, ended, channel, other, self._cluster)
        if made is None:
            return ended
        await self._ledger.record(delivery.metadata.namespace, made)
        self._metrics.fallbacks.labels(channel.type).inc()
        return noted(ended, made)
