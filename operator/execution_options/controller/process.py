"""The controller's process within kopf: it follows the cluster, works while it holds the Lease, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from typing import TYPE_CHECKING, Any, Final

from execution_options.api import decoding, names
from execution_options.controller import kopf_session
from execution_options.controller.assembly import Parts
from execution_options.controller.runtime import LeaseLostError
from execution_options.health import health_app
from execution_options.kube.client import REQUEST_ERRORS
from execution_options.logs import error_text
from execution_options.serving import Port

if TYPE_CHECKING:
    import kopf

    from execution_options.controller.runtime import Settings
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

SERVED_SECONDS: Final = 1.0
"""Seconds between two checks whether the cluster has our kinds."""
WATCH_SECONDS: Final = 150.0
"""Longest time in seconds without an event or a restart in a watch of kopf. Bookmarks come every minute; kopf gives
up a silent watch after 70 s, and any other request after 30 s."""
WATCHED: Final = (*names.PLURALS.values(), names.CHANNEL_PLURAL, names.ENGINE_PLURAL)
"""The collections that people write and kopf watches."""


class Process:
    """Everything that runs beside kopf's watches, in kopf's event loop.

    Args:
        kube: the connection; :meth:`stop` closes it.
    """

    def __init__(self, kube: Kube, settings: Settings) -> None:
        self.parts = Parts(kube, settings)
        self._kube = kube
        self._frame: set[asyncio.Task[Any]] = set()
        """kopf's own tasks, which kopf ends itself."""
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._failure: BaseException | None = None
        self._stopping = False
        self._unserved = "the cluster is not asked yet which kinds it has"
        watchdog = self.parts.metrics.watchdog
        self._watches = {plural: watchdog.expect(f"kopf's watch of {plural}", WATCH_SECONDS) for plural in WATCHED}
        self._begun: set[str] = set()
        """Plurals of the kinds that kopf has begun to watch."""
        self._expected = contextlib.ExitStack()
        self._port = Port(health_app(self.late, self.missing, self.parts.metrics.registry))

    async def start(self) -> None:
        """Start, within kopf's start.

        Raises:
            OSError: the port for probes cannot be opened.
        """
        settings = self.parts.settings
        self._frame = asyncio.all_tasks()
        gc.freeze()  # imported modules stay anyway, and scanning them again and again delays releases
        if settings.health_port is not None:
            logger.info("probes and metrics on port %d", await self._port.open(settings.host, settings.health_port))
        for beat in (self.parts.leasing, *self._watches.values()):
            self._expected.enter_context(beat)
        self._tasks = (asyncio.create_task(self._follow()), asyncio.create_task(self._lead()))
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Have kopf stop the process as for a signal: a task ends only if something is wrong."""
        if not self._stopping and not task.cancelled() and self._failure is None:
            self._failure = task.exception()
            signal.raise_signal(signal.SIGTERM)

    async def connect(self) -> kopf.AiohttpSession:
        """Connect kopf once the cluster has our kinds, because kopf looks for them only once."""
        while self._unserved:
            for watch in self._watches.values():
                watch.advance()
            try:
                missing = await self._missing_kinds()
            except REQUEST_ERRORS as error:
                missing = error_text(error)
            if missing and missing != self._unserved:
                logger.warning("kopf waits: %s", missing)
            self._unserved = missing
            if missing:
                await asyncio.sleep(SERVED_SECONDS)
        return await kopf_session.connect(self._kube.access, self._advanced, self._listed)

    async def _missing_kinds(self) -> str:
        groups = decoding.read_object(await self._kube.get("/apis"))["groups"]
        if not any(group["name"] == names.GROUP for group in groups):
            return f"{names.GROUP}/{names.VERSION} is not installed in the cluster"
        resources = decoding.read_object(await self._kube.get(f"/apis/{names.GROUP}/{names.VERSION}"))["resources"]
        missing = set(WATCHED) - {resource["name"] for resource in resources}
        return f"not installed in the cluster: {', '.join(sorted(missing))}" if missing else ""

    def _advanced(self, path: str) -> None:
        """A request of kopf for a path begins, or a part of its answer arrives."""
        plural = path.rpartition("/")[2]
        if plural in self._watches:
            self._begun.add(plural)
            self._watches[plural].advance()
            return
        # kopf asks which kinds there are before it watches any.
        for waiting in self._watches.keys() - self._begun:
            self._watches[waiting].advance()

    def _listed(self, path: str) -> None:
        """kopf has listed a collection again, and reports no deletions that it missed: list it here, too."""
        plural = path.rpartition("/")[2]
        if plural == names.CHANNEL_PLURAL:
            self.parts.directory.store.relist()
        elif plural == names.ENGINE_PLURAL:
            self.parts.engines.store.relist()
        else:
            for kind in (kind for kind, of in names.PLURALS.items() if of == plural):
                self.parts.index.relist(kind)

    def late(self) -> str:
        """What makes no progress, for people; empty if everything does."""
        return self.parts.metrics.watchdog.late()

    def missing(self) -> str:
        """What the process waits for before it is ready, for people; empty if it is ready."""
        parts = self.parts
        if self._stopping:
            return "stopping"
        if self._unserved:
            return self._unserved
        if not all(part.synced for part in parts.followed):
            return "not everything is listed yet"
        if not parts.elector.holds():
            return ""  # ready to take over
        if not parts.changes.active:
            return "this controller has the Lease, and does not work yet: it waits for its last holder"
        if not (parts.outbox.working and parts.parallelism.synced):
            return "this controller works, but for notifications or pods that wait for a slot, which are not listed yet"
        return ""

    async def stop(self) -> None:
        """Stop in order, within kopf's end.

        Raises:
            LeaseLostError: another controller may be active by now.
        """
        self._stopping = True
        kopf_session.silence()
        parts = self.parts
        try:
            if self._failure is None:
                logger.info("stopping")
                await parts.outbox.end()
                await parts.writer.finish()
        finally:
            for task in self._tasks:
                task.cancel()
            ended = await asyncio.gather(*self._tasks, return_exceptions=True)
            await parts.providers.close()
            # A request that was cancelled may still take effect.
            await parts.writer.finish()
            await parts.elector.release()
            # kopf waits 5 s for tasks of its scan, which wait for a connection that it has closed.
            for left in asyncio.all_tasks() - self._frame - {asyncio.current_task()}:
                left.cancel()
            await parts.lease_kube.close()
            await self._port.close()
            await self._kube.close()
            self._expected.close()
        failure = self._failure or next((one for one in ended if isinstance(one, Exception)), None)
        if failure is not None:
            raise failure

    async def _follow(self) -> None:
        parts = self.parts
        async with asyncio.TaskGroup() as group:
            for part in parts.followed:
                group.create_task(part.follow())
            group.create_task(parts.metrics.watchdog.run())

    async def _lead(self) -> None:
        await self.parts.elector.acquire()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.parts.elector.keep())
                group.create_task(self._work())
        except ExceptionGroup as errors:
            lost = errors.subgroup(LeaseLostError)
            if lost is None:
                raise
            raise LeaseLostError(_first(lost)) from errors

    async def _work(self) -> None:
        parts = self.parts
        for part in parts.followed:
            await part.wait_synced()
        parts.changes.active = True
        for options in parts.index.all():
            parts.options.add(options)
        for key in parts.world.tracker.records:
            parts.executions.add(key)
        for pod in parts.world.pods.items:
            parts.pods.add(pod)
        parts.of_channels.start()
        parts.metrics.leader.set_function(parts.elector.holds)
        logger.info("active: %d executions known", len(parts.world.tracker.records))
        async with asyncio.TaskGroup() as group:
            group.create_task(parts.recorder.run())
            group.create_task(self._enqueue_options())
            group.create_task(parts.outbox.work())
            group.create_task(parts.engines.work())
            group.create_task(parts.artifacts.work(parts.metrics))
            group.create_task(parts.dangling.run())
            group.create_task(parts.parallelism.run())
            for worker in parts.workers():
                group.create_task(worker)

    async def _enqueue_options(self) -> None:
        """Reconcile all options at intervals, in case a change of something that they depend on was missed."""
        while True:
            await asyncio.sleep(self.parts.settings.resync)
            for key in self.parts.index.all():
                self.parts.options.add(key)


def _first(errors: ExceptionGroup[LeaseLostError]) -> str:
    error: Exception = errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error)
