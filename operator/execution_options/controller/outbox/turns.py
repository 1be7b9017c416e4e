"""Rate limits of destinations, as their services publish them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.controller.runtime import TokenBucket
from execution_options.notifications.page import builtin
from execution_options.notifications.route import ChannelKey
from execution_options.outbox import state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.api.keys import Key
    from execution_options.controller.outbox.delivery import Delivery

RATES: Final[Mapping[str, tuple[float, int]]] = {
    "slack": (1.0, 1),
    "pagerDuty": (2.0, 10),
    **{name: (float(page.messages_per_second), 1) for name, page in builtin().items() if page.messages_per_second},
}
"""For each type of channel, the messages per second that one destination accepts, and how many at once.

https://api.slack.com/apis/rate-limits#rtm-posting-messages
https://developer.pagerduty.com/docs/events-api-v2-overview#api-request-limits
"""
MAX_BUCKETS: Final = 10_000
"""Destinations that are remembered before those whose limit has fully recovered are forgotten."""


class Turns:
    """Hands out turns; each delivery takes one for all of its destinations.

    Args:
        rate: messages per second that a channel itself names; 0 for none.
    """

    def __init__(self, rate: Callable[[ChannelKey], int] = lambda _: 0) -> None:
        self._rate = rate
        self._buckets: dict[tuple[ChannelKey, str], TokenBucket] = {}
        self._taken: set[Key] = set()

    def take(self, delivery: Delivery) -> float:
        """Seconds until a delivery may be sent to all of its destinations; a turn is taken only once."""
        channel = ChannelKey(delivery.spec.channel.namespace, delivery.spec.channel.name)
        limit = RATES.get(delivery.spec.channel.type) or (float(self._rate(channel)), 1)
        if not limit[0] or delivery.key in self._taken:
            return 0.0
        waits = [0.0]
        for recipient in delivery.now.recipients:
            if recipient.state not in state.FINISHED or delivery.request:
                bucket = self._buckets.get((channel, recipient.name))
                if bucket is None:
                    self._prune()
                    bucket = self._buckets[channel, recipient.name] = TokenBucket(*limit)
                waits.append(bucket.reserve())
        self._taken.add(delivery.key)
        return max(waits)

    def over(self, key: Key) -> None:
        """The turn of a delivery was used or is not needed."""
        self._taken.discard(key)

    def _prune(self) -> None:
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if not bucket.is_full()}
