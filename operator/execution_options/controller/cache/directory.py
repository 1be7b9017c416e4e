"""The notification channels of the cluster, as last seen."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import msgspec

from execution_options.kube.channels import CHANNELS, ChannelObject, channel_of
from execution_options.kube.mirror import Mirror
from execution_options.notifications.mute import muted_until
from execution_options.notifications.route import Channel, ChannelKey, Channels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from execution_options.api.http_transport import HttpChannel
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)


class Directory:
    """Keeps the channels that kopf hands to its store.

    Args:
        operator_namespace: namespace whose channels other namespaces may use.
        namespace_labels: returns the labels of a namespace.
        changed: called with the key of a channel that was created, changed or deleted.
        resync: seconds between two lists of all channels.
    """

    def __init__(
        self,
        kube: Kube,
        operator_namespace: str,
        namespace_labels: Callable[[str], Mapping[str, str]],
        changed: Callable[[ChannelKey], None],
        resync: float = math.inf,
    ) -> None:
        self._operator_namespace = operator_namespace
        self._namespace_labels = namespace_labels
        self._on_change = changed
        self._known: dict[ChannelKey, Channel] = {}
        self.store = Mirror[ChannelObject](kube, CHANNELS, ChannelObject, resync=resync, on_change=self._changed)

    def get(self, key: ChannelKey) -> Channel | None:
        """A channel; ``None`` if there is none or its spec is invalid."""
        return self._known.get(key)

    def muted_until(self, key: ChannelKey, now: datetime) -> datetime | None:
        """When a channel is muted no more; ``None`` if it is not muted.

        Args:
            key: the channel.
            now: the current time.
        """
        channel = self._known.get(key)
        return None if channel is None else muted_until(channel.spec.mute or (), now)

    def rate(self, key: ChannelKey) -> int:
        """Messages per second that a channel names; 0 for none."""
        http = self.http(key)
        return 0 if http is None else http.messages_per_second or 0

    def http(self, key: ChannelKey) -> HttpChannel | None:
        """The description of a service that a channel holds; ``None`` if it holds none."""
        channel = self._known.get(key)
        return None if channel is None else channel.spec.http or None

    def in_namespace(self, namespace: str) -> list[Channel]:
        """The channels of a namespace."""
        return [channel for key, channel in self._known.items() if key.namespace == namespace]

    def channels(self, namespace: str | None) -> Channels:
        """The channels for notifications of a namespace; for cluster options, those of the operator's namespace."""
        namespace = namespace or self._operator_namespace
        near = {namespace, self._operator_namespace}
        known = [channel for key, channel in self._known.items() if key.namespace in near]
        return Channels(known, namespace, self._namespace_labels(namespace), self._operator_namespace)

    def _changed(self, old: ChannelObject | None, new: ChannelObject | None) -> None:
        item = new or old
        if item is None:
            return
        key = ChannelKey(item.metadata.namespace, item.metadata.name)
        if old is not None and new is not None and _written(old) == _written(new):
            return  # only its status has changed
        self._known.pop(key, None)
        if new is not None:
            try:
                self._known[key] = channel_of(new)
            except msgspec.ValidationError as error:
                logger.warning("NotificationChannel %s/%s cannot be understood: %s", *key, error)
        self._on_change(key)


def _written(item: ChannelObject) -> tuple[object, ...]:
    """The parts of a channel that others than this operator write."""
    return item.metadata.uid, item.spec, item.metadata.annotations, item.metadata.deletion_timestamp
