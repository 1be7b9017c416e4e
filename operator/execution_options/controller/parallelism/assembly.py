"""The parts that give out parallelism slots, put together."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from execution_options.api import decoding, names
from execution_options.api.meta import PartialObject
from execution_options.api.names import GATE
from execution_options.controller.cache import LIVING
from execution_options.controller.parallelism.backlog import Backlog
from execution_options.controller.parallelism.kueue import Kueue
from execution_options.controller.parallelism.orphans import Orphans
from execution_options.controller.parallelism.releaser import Releaser
from execution_options.controller.parallelism.waitingnotes import Announcer
from execution_options.controller.runtime import Queue, work
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.quotas import Quotas
from execution_options.kube.store import Store
from execution_options.parallelism.board import Board
from execution_options.parallelism.pods import GatedPod

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import GroupKey, OptionsKey
    from execution_options.controller.cache import OptionsIndex, World
    from execution_options.controller.runtime import Metrics, Recorder, Settings, Writer
    from execution_options.kube.client import Kube
    from execution_options.parallelism.groups import Group

logger = logging.getLogger(__name__)

UNKNOWN_SECONDS: Final = 10.0
"""Seconds until the execution of pods is searched for, if no watch has brought it by then."""


class Parallelism:
    """Follows the pods that may wait, and releases them. For the active controller only.

    Args:
        numbers_changed: called with the uid of options whose numbers of pods have changed.
    """

    def __init__(
        self,
        kube: Kube,
        world: World,
        index: OptionsIndex,
        writer: Writer,
        recorder: Recorder,
        metrics: Metrics,
        settings: Settings,
        numbers_changed: Callable[[str], None],
    ) -> None:
        self._kube = kube
        self._world = world
        self._index = index
        self._metrics = metrics
        self._settings = settings
        self._numbers_changed = numbers_changed
        self._releaser = Releaser(kube, writer, metrics, settings.timing.request_timeout)
        self._quotas = Quotas(kube)
        self._announcer = Announcer(kube, world, writer, recorder, self._quotas)
        self._backlog = Backlog(kube, writer, world, self._quotas, settings.namespace)
        self._kueue = Kueue(kube, writer, metrics)
        self.synced = False
        """Whether the pods that may wait were listed once."""
        self._unsure: Queue[tuple[OptionsKey, str]] = Queue()
        self._unknown: Queue[GroupKey] = Queue()
        self.board = Board(world, index, self)
        self._orphans = Orphans(kube, world, self.board, self._announcer.explain)
        metrics.watch_slots(self.board.totals)

    # The board's listener.

    def changed(self, group: Group) -> None:
        """Release pods of a group, and update the backlog and the status of its options."""
        if group.slots.releasable:
            self._releaser.add(group.key)
        self._backlog.changed(group.key)
        if group.cap is not None and group.cap.uid:
            self._numbers_changed(group.cap.uid)

    def unknown(self, key: GroupKey) -> None:
        """Search for the execution of pods."""
        self._unknown.add(key, UNKNOWN_SECONDS)

    def unsure(self, key: OptionsKey, uid: str) -> None:
        """Find out whether options exist."""
        self._unsure.add((key, uid))

    def to_be_left(self, pod: GatedPod) -> None:
        """Leave a pod to Kueue."""
        self._kueue.add(pod)

    def left_to_kueue(self, key: GroupKey) -> None:
        """Post the Event LeftToKueue."""
        self._announcer.left_to_kueue(key)

    # The work.

    async def run(self) -> None:
        """Follow and release pods until cancelled.

        The pods are listed only now, when no request of the last leader can take effect any more.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        store = Store(
            self._kube,
            path_of("", "v1", "pods"),
            GatedPod,
            label_selector=GATE,
            # Pods that have ended hold no slot, and may stay for long.
            field_selector=LIVING,
            resync=self._settings.resync,
            on_change=self.board.pod_changed,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(store.run())
            await store.synced.wait()
            self.synced = True
            logger.info("parallelism: %d pods run or wait", sum(self.board.totals()))
            group.create_task(self._releaser.run(self.board))
            group.create_task(self._kueue.run())
            group.create_task(self._announcer.run(self.board))
            group.create_task(self._quotas.run())
            group.create_task(self._backlog.run(self.board))
            group.create_task(work("unsure options", self._unsure, self._check_options, self._metrics))
            group.create_task(work("unknown pods", self._unknown, self._orphans.reconcile, self._metrics))

    async def _check_options(self, which: tuple[OptionsKey, str]) -> None:
        """Find out whether options are gone, or are too new to be known.

        A proxy's 404 does not mean that they are gone, unless their kind is not installed: then the API server has no
        better answer.
        """
        key, uid = which
        plural = names.PLURALS[key.kind]
        try:
            body = await self._kube.get(path_of(names.GROUP, names.VERSION, plural, key.namespace, key.name))
        except ApiError as error:
            is_installed = self._world.executions.is_defined(f"{plural}.{names.GROUP}")
            if not (error.is_not_found or (error.status == 404 and not is_installed)):
                raise
            self.board.options_changed(uid, gone=True)
            return
        if decoding.read(body, PartialObject).metadata.uid != uid:
            self.board.options_changed(uid, gone=True)
        self._index.hand(key.kind, body)
