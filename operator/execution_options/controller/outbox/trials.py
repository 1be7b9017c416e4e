"""Tests of channels and of options, requested by an annotation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from execution_options.api.names import CHANNEL_KIND, TEST_ANNOTATION
from execution_options.controller.runtime import Queue
from execution_options.notifications.route import ChannelKey
from execution_options.outbox.trial import Request, of_channel, of_options

if TYPE_CHECKING:
    from execution_options.api.keys import OptionsKey
    from execution_options.controller.cache import Directory, OptionsIndex
    from execution_options.controller.outbox.ledger import Ledger
    from execution_options.controller.runtime import Settings
    from execution_options.outbox.compose import Composed

logger = logging.getLogger(__name__)

MOST_REMEMBERED: Final = 10_000
"""Recorded requests that are remembered; all are forgotten beyond that."""


class Trials:
    """Records the deliveries of tests, which are sent like all others.

    Args:
        ledger: records deliveries.
        settings: the operator's namespace, in which tests of cluster options are recorded, and the cluster's name.
    """

    def __init__(self, index: OptionsIndex, directory: Directory, ledger: Ledger, settings: Settings) -> None:
        self._index = index
        self._directory = directory
        self._ledger = ledger
        self._settings = settings
        self.queue: Queue[OptionsKey] = Queue()
        self._done: dict[OptionsKey, Request] = {}

    def check(self, key: OptionsKey) -> None:
        """Enqueue a channel, or options, that requests a test."""
        request = self._request(key)
        if request is not None and self._done.get(key) != request:
            self.queue.add(key)

    def is_requested(self, key: OptionsKey, text: str) -> bool:
        """Whether an object still has this request for a test; its delivery must outlast the request."""
        request = self._request(key)
        return request is not None and request.text == text

    def _request(self, key: OptionsKey) -> Request | None:
        if key.kind == CHANNEL_KIND:
            item = self._directory.store.get(key.namespace, key.name)
            text = "" if item is None else (item.metadata.annotations or {}).get(TEST_ANNOTATION, "")
            return Request(item.metadata.uid, text) if item is not None and text else None
        known = self._index.get(key)
        return Request(known.uid, known.test) if known is not None and known.test else None

    async def reconcile(self, key: OptionsKey) -> None:
        """Record the test that an object requests; recording it again changes nothing."""
        request = self._request(key)
        if request is None:
            self._done.pop(key, None)
            return
        namespace = key.namespace or self._settings.namespace
        for one in self._composed(key, namespace, request):
            await self._ledger.record(namespace, one)
        if len(self._done) >= MOST_REMEMBERED:
            self._done.clear()
        self._done[key] = request

    def _composed(self, key: OptionsKey, namespace: str, request: Request) -> list[Composed]:
        if key.kind == CHANNEL_KIND:
            channel = self._directory.get(ChannelKey(key.namespace, key.name))
            return [] if channel is None else [of_channel(channel, request, cluster=self._settings.cluster)]
        known = self._index.get(key)
        if known is None or known.options is None:
            return []
        channels = self._directory.channels(namespace)
        return list(of_options(known.options, channels, request, cluster=self._settings.cluster))
