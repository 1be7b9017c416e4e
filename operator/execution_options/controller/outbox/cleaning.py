"""Removes deliveries some time after they have finished."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from execution_options.api.keys import ExecutionKey, OptionsKey
from execution_options.api.names import CHANNEL_KIND, LINEAGE_LABEL, NOTIFIED_ANNOTATION
from execution_options.controller.outbox.delivery import COLLECTION, Delivery, delivery_path
from execution_options.kube.client import REQUEST_ERRORS, ApiError
from execution_options.kube.listing import LARGE_PAGE, listed
from execution_options.logs import error_text
from execution_options.outbox import lineage
from execution_options.outbox.record import report
from execution_options.outbox.retention import Finished, outdated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from execution_options.controller.cache import World
    from execution_options.controller.outbox.trials import Trials
    from execution_options.controller.runtime import Writer
    from execution_options.kube.client import Kube
    from execution_options.outbox.lineage import Report
    from execution_options.outbox.record import ChannelRef
    from execution_options.outbox.state import Status

logger = logging.getLogger(__name__)

EVERY: Final = 600.0
"""Seconds between two lists of all deliveries."""


class Cleaning:
    """Removes outdated deliveries.

    Args:
        world: knows whether an execution still lacks the note of its notification.
        trials: knows whether a test is still requested.
    """

    def __init__(self, kube: Kube, writer: Writer, world: World, trials: Trials) -> None:
        self._kube = kube
        self._writer = writer
        self._world = world
        self._trials = trials

    async def run(self) -> None:
        """Remove outdated deliveries at intervals until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.clean(datetime.now(UTC))
            except REQUEST_ERRORS as error:
                logger.warning("deliveries are not cleaned up: %s", error_text(error))

    async def clean(self, now: datetime) -> int:
        """Remove the deliveries that are outdated at ``now``; return their number."""
        removed = 0
        async for deliveries in self._namespaces():
            removed += await self._clean(deliveries, now)
        if removed:
            logger.info("%d deliveries that finished long ago are removed", removed)
        return removed

    async def _namespaces(self) -> AsyncIterator[list[Delivery]]:
        """The deliveries of one namespace after the other, so that no more are held in memory.

        The API server lists in the order of its storage's keys, which are namespace and name.
        """
        near: list[Delivery] = []
        async for delivery in listed(self._kube, COLLECTION, Delivery, seconds=30, page=LARGE_PAGE):
            if near and near[-1].metadata.namespace != delivery.metadata.namespace:
                yield near
                near = []
            near.append(delivery)
        if near:
            yield near

    async def _clean(self, deliveries: list[Delivery], now: datetime) -> int:
        """Remove the outdated deliveries of one namespace; return their number."""
        removed = 0
        by_name = {delivery.metadata.name: delivery for delivery in deliveries}
        for finished in outdated(self._finished(deliveries), now):
            metadata = by_name[finished.name].metadata
            unchanged = {"preconditions": {"uid": metadata.uid, "resourceVersion": metadata.resource_version}}
            try:
                await self._writer.delete(delivery_path((metadata.namespace, metadata.name)), unchanged)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
            else:
                removed += 1
        return removed

    def _finished(self, deliveries: list[Delivery]) -> Iterator[Finished]:
        lineages: defaultdict[tuple[str, ChannelRef], list[Report]] = defaultdict(list)
        for delivery in deliveries:
            if digest := _digest(delivery):
                lineages[digest, delivery.spec.channel].append(_report(delivery))
        for delivery in deliveries:
            status: Status = delivery.now
            if not status.finished or status.finished_at is None or delivery.request:
                continue
            metadata = delivery.metadata
            others = lineages.get((_digest(delivery), delivery.spec.channel), [])
            yield Finished(
                metadata.namespace,
                metadata.name,
                status.state,
                status.finished_at,
                needed=self._is_needed(delivery),
                incident=bool(others) and not delivery.spec.test and lineage.is_open(_report(delivery), others),
            )

    def _is_needed(self, delivery: Delivery) -> bool:
        """Whether it would be recorded again, because its execution lacks the note or its test is still requested."""
        spec = delivery.spec
        if spec.test:
            namespace = delivery.metadata.namespace
            asks = OptionsKey(CHANNEL_KIND, spec.channel.namespace, spec.channel.name)
            if spec.options is not None:
                asks = OptionsKey.of(spec.options.kind, namespace, spec.options.name)
            return self._trials.is_requested(asks, spec.test)
        execution = delivery.spec.execution
        if execution is None or execution.engine not in self._world.engines:
            return False
        key = ExecutionKey(execution.engine, delivery.metadata.namespace, execution.name)
        item = self._world.execution(key)
        if item is None or item.metadata.uid != execution.uid:
            return False
        return NOTIFIED_ANNOTATION not in (item.metadata.annotations or {})


def _digest(delivery: Delivery) -> str:
    return (delivery.metadata.labels or {}).get(LINEAGE_LABEL, "")


def _report(delivery: Delivery) -> Report:
    metadata = delivery.metadata
    return report(metadata.name, delivery.spec, delivery.status, metadata.creation_timestamp)
