"""The outbox: it records the ends of executions, sends the recorded deliveries, and removes old ones."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from execution_options.api import decoding
from execution_options.api.keys import OptionsKey
from execution_options.api.meta import PartialObject
from execution_options.api.names import CHANNEL_KIND, DELIVERY_PLURAL, GROUP
from execution_options.controller.outbox.cleaning import Cleaning
from execution_options.controller.outbox.delivery import COLLECTION, Delivery
from execution_options.controller.outbox.due import Due
from execution_options.controller.outbox.ends import Ends
from execution_options.controller.outbox.fallbacks import Fallbacks
from execution_options.controller.outbox.podlogs import PodLogs
from execution_options.controller.outbox.reporting import Reporting, summary
from execution_options.controller.outbox.sending import Deliveries
from execution_options.controller.outbox.trials import Trials
from execution_options.controller.runtime import Lanes, LeaseLostError, Pace, Shell, work
from execution_options.kube.client import METADATA, REQUEST_ERRORS, path_of
from execution_options.kube.listing import LARGE_PAGE, listed
from execution_options.logs import error_text
from execution_options.outbox.state import AT_ONCE
from execution_options.watchdog import WORK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from execution_options.api.keys import ExecutionKey
    from execution_options.controller.cache import Directory, OptionsIndex, Tracked, World
    from execution_options.controller.outbox.outcomes import Outcomes
    from execution_options.controller.outbox.refusals import Refusals
    from execution_options.controller.outbox.sending import Post
    from execution_options.controller.runtime import Metrics, Recorder, Settings, Writer
    from execution_options.kube.client import Kube
    from execution_options.kube.store import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")

RECORDERS: Final = 16
"""Ends that are recorded at the same time."""
RETRY_SECONDS: Final = 2.0
"""Seconds until a read is repeated after a failure."""
END_SECONDS: Final = 5.0
"""Seconds for deliveries in progress when the process stops."""
_DEFINITION: Final = path_of(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "", f"{DELIVERY_PLURAL}.{GROUP}"
)


class Outbox:
    """All parts of the outbox, put together.

    Args:
        identity: name of this process.
        post: sends by channels.
        refusals: reports what the API server refuses to record.
        outcomes: reports ends whose outcome only the program knows.
    """

    def __init__(
        self,
        kube: Kube,
        writer: Writer,
        settings: Settings,
        identity: str,
        world: World,
        index: OptionsIndex,
        directory: Directory,
        post: Post,
        recorder: Recorder,
        refusals: Refusals,
        outcomes: Outcomes,
        metrics: Metrics,
    ) -> None:
        self._kube = kube
        self._world = world
        self._metrics = metrics
        self._directory = directory
        reporting = Reporting(metrics, recorder)
        self._sending = Deliveries(
            kube, writer, post, reporting, identity, settings.send_timeout, directory, settings.cluster
        )
        self.deliveries = self._sending.ledger
        self._sending.fallbacks = Fallbacks(directory, self.deliveries, metrics, settings.cluster)
        # A bucket of its own, so that notes on executions and edits of options do not delay each other.
        notes = Pace(settings.patch_rate)
        logs = PodLogs(kube, settings.namespace)
        self._due = Due(index, directory, world.causes, settings.cluster, logs)
        self.ends = Ends(world, self._due, Shell(kube, writer, notes, metrics), self.deliveries, refusals, outcomes)
        self._lanes = Lanes(
            "deliveries",
            self.deliveries.queue,
            self._sending.place,
            self._sending.reconcile,
            metrics,
            WORK_SECONDS + settings.send_timeout * AT_ONCE,
        )
        self.trials = Trials(index, directory, self.deliveries, settings)
        self._cleaning = Cleaning(kube, writer, world, self.trials)
        metrics.watch_queue("ends", self.ends.queue.__len__)
        metrics.watch_queue("deliveries", self.deliveries.queue.__len__)
        metrics.watch_queue("trials", self.trials.queue.__len__)
        metrics.watch_deliveries(lambda: summary(self.deliveries.unfinished))
        metrics.watch_groups(self._sending.groups.__len__)

    def _stores(self) -> tuple[Store[Any], ...]:
        return (self._directory.store, self.deliveries.open, self.deliveries.asked)

    @property
    def synced(self) -> bool:
        """Whether every collection was listed once."""
        return all(store.synced.is_set() for store in self._stores())

    @property
    def working(self) -> bool:
        """Whether ends are recorded and deliveries sent."""
        return self.ends.active

    async def wait_synced(self) -> None:
        """Wait until every collection was listed once."""
        for store in self._stores():
            await store.synced.wait()

    async def follow(self) -> None:
        """Follow all collections until cancelled."""
        async with asyncio.TaskGroup() as group:
            for store in self._stores():
                group.create_task(store.run())

    async def work(self) -> None:
        """Work until cancelled; all stores must have synced."""
        self._due.since = await _retried(_DEFINITION, self._since)
        self.ends.recall(await _retried(COLLECTION, self._completed))
        self.ends.active = True
        for key, record in self._world.tracker.records.items():
            self.ends.changed(key, None, self._world.execution(key), record)
        self.deliveries.start()
        for namespace, name in self._directory.store.items:
            self.trials.check(OptionsKey(CHANNEL_KIND, namespace, name))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lanes.run())
            group.create_task(self._cleaning.run())
            group.create_task(work("trials", self.trials.queue, self.trials.reconcile, self._metrics))
            for _ in range(RECORDERS):
                group.create_task(work("ends", self.ends.queue, self.ends.reconcile, self._metrics))

    async def end(self) -> None:
        """Finish what is being sent, so that the next leader need not send it again; to be called with the lease."""
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._lanes.end()
                await self._sending.record_all()
        except (LeaseLostError, *REQUEST_ERRORS) as error:
            logger.warning("some of what is being sent will be sent again: %s", error_text(error))

    async def _completed(self) -> dict[str, str]:
        """uid of a bare pod → its recorded end, which the pod itself does not show."""
        pods = {record.uid for key, record in self._world.tracker.records.items() if self._is_of_pod(key, record)}
        found: dict[str, str] = {}
        if pods:
            async for delivery in listed(self._kube, COLLECTION, Delivery, seconds=30, page=LARGE_PAGE):
                execution = delivery.spec.execution
                if execution is not None and delivery.spec.completes and execution.uid in pods:
                    found[execution.uid] = delivery.spec.completes
        return found

    def _is_of_pod(self, key: ExecutionKey, record: Tracked) -> bool:
        engine = self._world.engines.get(key.engine)
        return engine is not None and engine.is_pod and record.stamped

    async def _since(self) -> str | None:
        """When the kind of deliveries was installed, by the API server's clock."""
        answer = await self._kube.get(_DEFINITION, accept=METADATA)
        return decoding.read(answer, PartialObject).metadata.creation_timestamp


async def _retried(what: str, read: Callable[[], Awaitable[T]]) -> T:
    """Call ``read`` until the API server answers."""
    while True:
        try:
            return await read()
        except REQUEST_ERRORS as error:
            logger.warning("%s cannot be read: %s; will retry in %.0f s", what, error_text(error), RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)
