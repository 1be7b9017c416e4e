"""The controller's process: who leads, what is followed, who works, and an orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from execution_options.admission.accounts import required_account
from execution_options.api import names
from execution_options.api.names import GATE, ID_LABEL, LIVE_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.accounts import created_account
from execution_options.controller.announcements import unreadable_note
from execution_options.controller.artifacts import ArtifactRepositories
from execution_options.controller.channels import ChannelReconciler
from execution_options.controller.dangling import DanglingReferences
from execution_options.controller.directory import Directory
from execution_options.controller.engine_loop import EngineLoop
from execution_options.controller.events import Recorder
from execution_options.controller.executions import ExecutionReconciler
from execution_options.controller.index import OptionsIndex
from execution_options.controller.kopf_loop import KopfLoop
from execution_options.controller.lease import Elector, LeaseLostError
from execution_options.controller.materials import Materials
from execution_options.controller.metrics import Metrics
from execution_options.controller.objects import OptionsKey
from execution_options.controller.options import OptionsReconciler
from execution_options.controller.outbox import Outbox
from execution_options.controller.parallelism.app import Parallelism
from execution_options.controller.pods import PodReconciler
from execution_options.controller.post import ChannelPost
from execution_options.controller.queue import Queue
from execution_options.controller.rate import Pace, SharedBucket
from execution_options.controller.refusals import Refusals
from execution_options.controller.shell import Shell
from execution_options.controller.unfollowed import Unfollowed
from execution_options.controller.work import work
from execution_options.controller.world import World
from execution_options.controller.writer import Writer
from execution_options.engines.registry import builtin_engines
from execution_options.health import health_app
from execution_options.kube.account import own_account
from execution_options.kube.client import ApiError
from execution_options.providers.factory import Providers
from execution_options.providers.outbound import Outbound
from execution_options.proxies import Proxies
from execution_options.serving import Port

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.controller.objects import ExecutionKey, ExecutionObject
    from execution_options.controller.parallelism.objects import GroupKey
    from execution_options.controller.settings import Settings
    from execution_options.controller.tracking import Tracked
    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube
    from execution_options.kube.listing import Unreadable
    from execution_options.kube.meta import ObjectMeta, PartialObject
    from execution_options.kube.store import Key
    from execution_options.notifications.route import ChannelKey

logger = logging.getLogger(__name__)

WORKERS: Final = {"channels": 2, "options": 4, "executions": 8, "pods": 8}
"""One of each, other than of channels, is never at work for the namespace that all others are at work for."""
COUNTS_SETTLE: Final = 1.0
"""Seconds in which many executions may come and go before their options are looked at once."""
PODS_SETTLE: Final = 5.0
"""The same for pods that run and wait."""
RETRY_SECONDS: Final = 2.0


class Controller:
    """Everything of one process, put together.

    Args:
        kube: the connection.
        settings: how it is run.
        kubeconfig: as given to ``Kube.connect``, for kopf's own connection.
        context: likewise.
    """

    def __init__(self, kube: Kube, settings: Settings, kubeconfig: Path | None, context: str | None) -> None:
        self._settings = settings
        self._connection = (kubeconfig, context)
        identity = f"{socket.gethostname()}_{secrets.token_hex(8)}"
        self.metrics = Metrics()
        # Nothing that the controller has to do may delay the renewal of its Lease.
        self._lease_kube = kube.apart()
        self._leasing = self.metrics.watchdog.expect("the Lease", settings.timing.bound)
        self.elector = Elector(
            self._lease_kube,
            settings.namespace,
            settings.lease,
            identity,
            settings.timing,
            owner=lambda: own_account(kube, settings.namespace, settings.timing.request_timeout),
            tried=self._leasing.advance,
        )
        self._active = False
        self._options: Queue[OptionsKey] = Queue(each=WORKERS["options"] - 1)
        self._executions: Queue[ExecutionKey] = Queue(each=WORKERS["executions"] - 1)
        self._pods: Queue[Key] = Queue(each=WORKERS["pods"] - 1)
        self.world = World(kube, builtin_engines(), self)
        self.index = OptionsIndex(kube, self._is_installed)
        writer = self._writer = Writer(kube, self.elector.holds, settings.timing.request_timeout)
        patches = Pace(settings.patch_rate)
        shell = Shell(kube, writer, patches, self.metrics)
        events = SharedBucket(settings.event_rate, max(1, int(settings.event_rate * 10)))
        self._recorder = Recorder(writer, events, self.metrics, identity)
        self._unfollowed = Unfollowed(self.world, self.index, self._options.add)
        self._of_pods = PodReconciler(self.world, shell, self._recorder, self._unfollowed, self._unlabelled)
        self._of_executions = ExecutionReconciler(
            self.world, self.index, shell, self._recorder, self._of_pods, self._unfollowed, self._uncounted
        )
        self._artifacts = ArtifactRepositories(kube, self.index, writer, self._repository_changed)
        self.parallelism = Parallelism(
            kube,
            self.world,
            self.index,
            writer,
            self._recorder,
            self.metrics,
            settings,
            self._pods_counted,
            self._options_found,
        )
        directory = Directory(kube, settings.namespace, self.world.namespace_labels, self.channel_changed)
        materials = Materials(kube, settings.namespace)
        self._of_channels = ChannelReconciler(
            directory, materials, writer, settings.namespace, settings.status_interval
        )
        refusals = Refusals(self.index, self._recorder, self.metrics, self._options.add)
        self._of_options = OptionsReconciler(
            self.index,
            self.world,
            directory,
            writer,
            self._executions,
            self.parallelism.board,
            refusals,
            self._unfollowed,
            self._artifacts,
            settings.status_interval,
        )
        self._providers = Providers(Outbound(settings.allowed_networks), settings.send_timeout, Proxies.of(os.environ))
        self._outbox = Outbox(
            kube,
            writer,
            settings,
            identity,
            self.world,
            self.index,
            directory,
            ChannelPost(directory, materials, self._providers, self._of_channels),
            self._recorder,
            refusals,
            self.metrics,
        )
        self._dangling = DanglingReferences(
            kube, self.world, self.index, directory, self._outbox.deliveries, self._recorder, self.metrics, settings
        )
        self._engines = EngineLoop(kube, self.world, writer, settings, self.metrics, self._engines_used)
        self.metrics.watch_queue("channels", self._of_channels.queue.__len__)
        for name, depth in (("options", self._options), ("executions", self._executions), ("pods", self._pods)):
            self.metrics.watch_queue(name, depth.__len__)
        self.metrics.watch_queue("artifacts", self._artifacts.pending)
        self.metrics.watch_executions(self.world.tracker.counts)
        self.metrics.watch_unreadable(self.world.unreadable)

    # What the world tells.

    def execution_changed(
        self,
        key: ExecutionKey,
        objects: tuple[ExecutionObject | None, ExecutionObject | None],
        records: tuple[Tracked | None, Tracked | None],
    ) -> None:
        """Have the execution reconciled, its pods where its options changed, and the counts of its options."""
        (old, new), (before, after) = objects, records
        if new is None and before is not None:
            self._of_executions.forget(key, before.uid)
        annotated = [None if item is None else _said(item) for item in objects]
        item = new or old
        if item is not None and annotated[0] != annotated[1]:
            self.parallelism.board.execution_changed(key, item.metadata.uid, _identifier(item.metadata))
        if not self._active:
            return
        if new is not None:
            self._executions.add(key)
        self._outbox.ends.changed(key, old, new, after or before)
        if new is not None and (old is None or _told(old) != _told(new)):
            for pod in self.world.tracker.pods(key):
                self._pods.add(pod)
        if before != after:
            sources = (frozenset() if before is None else before.sources) | (
                frozenset() if after is None else after.sources
            )
            for uid in sources:
                options = self.index.key_of(uid)
                if options is not None:
                    self._options.add(options, COUNTS_SETTLE)

    def execution_unreadable(self, engine: Engine, one: Unreadable) -> None:
        """Say on the execution that it is left out."""
        if self._active and one.metadata.uid:
            self._recorder.say(engine, one.metadata, unreadable_note(one.problem))

    def execution_deleted(self, key: ExecutionKey, item: ExecutionObject, record: Tracked) -> None:
        """Have it seen what is due at the end of the execution."""
        self._outbox.ends.deleted(key, item, record)

    def collection_changed(self) -> None:
        """Have the engines reconciled."""
        self._engines.look()

    def _engines_used(self, dropped: list[tuple[ExecutionKey, Tracked]]) -> None:
        """Forget the executions of engines that are none any more, and have options say what they know of engines."""
        for key, record in dropped:
            self._of_executions.forget(key, record.uid)
            # Their pods are held until it is known that nobody has them: the engine may only be replaced.
            self.parallelism.board.execution_changed(key, record.uid, record.id)
        if self._active:
            for options in self.index.all():
                self._options.add(options)

    def part_changed(self, metadata: ObjectMeta) -> None:
        """Have it seen whose the pods are that the part controls."""
        self.parallelism.board.part_changed(metadata.uid, metadata.namespace, _identifier(metadata))

    def _uncounted(self, key: GroupKey) -> None:
        self.parallelism.uncounted(key)

    def _unlabelled(self, pod: ObjectMeta) -> None:
        self.parallelism.unlabelled(pod)

    def _pods_counted(self, uid: str) -> None:
        """Have the numbers of pods written into the status of options."""
        key = self.index.key_of(uid)
        if key is not None:
            self._options.add(key, PODS_SETTLE)

    def _repository_changed(self, namespace: str) -> None:
        """Have options say that the namespace's artifact repository cannot be used, or can again."""
        for key in self.index.in_namespace(namespace):
            self._options.add(key)

    def _is_installed(self, kind: str) -> bool:
        return self.world.executions.is_defined(f"{names.PLURALS[kind]}.{names.GROUP}")

    def _options_found(self, key: OptionsKey) -> None:
        self.index.hint(key, None)
        self._options.add(key)

    def pod_changed(self, key: Key) -> None:
        """Have the pod reconciled."""
        if self._active:
            self._pods.add(key)

    def account_changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        """Have the options reconciled that own the account or ask for it."""
        item = new or old
        if item is None or not self._active:
            return
        for uid in {o.uid for one in (old, new) if one for o in one.metadata.owner_references or ()}:
            owner = self.index.key_of(uid)
            if owner is not None:
                self._options.add(owner)
        for key in self.index.in_namespace(item.metadata.namespace):
            known = self.index.get(key)
            if known is not None and known.options is not None:
                created = created_account(known.options)
                if item.metadata.name in (required_account(known.options), created and created[0]):
                    self._options.add(key)

    def options_changed(self, key: OptionsKey, version: str | None) -> None:
        """Have options reconciled, unless this version of them is known."""
        if self.index.hint(key, version):
            self._options.add(key)

    def channel_changed(self, key: ChannelKey) -> None:
        """Have the channel reconciled, and the options that may use it; see whether it asks for a test."""
        self._of_channels.changed(key)
        if self._active:
            self._outbox.trials.look(OptionsKey(names.CHANNEL_KIND, key.namespace, key.name))
            for options in self.index.all():
                if key.namespace in (options.namespace, self._settings.namespace):
                    self._options.add(options, COUNTS_SETTLE)

    # What runs.

    def missing(self, stop: asyncio.Event) -> str:
        """What the process waits for before it is ready."""
        if stop.is_set():
            return "stopping"
        if not all(part.synced for part in (self._engines, self.world, self._outbox, self._artifacts)):
            return "not everything is listed yet"
        if not self.elector.holds():
            return ""  # ready to take over
        if not self._active:
            return "this controller has the Lease, and does not work yet: it waits for its last holder, or for options"
        if not (self._outbox.working and self.parallelism.synced):
            return "this controller works, but for notifications or pods that wait for a slot, which are not listed yet"
        return ""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set.

        Raises:
            LeaseLostError: another controller may be active by now.
        """
        with self._leasing:  # to the end: whatever holds that up holds up the next one, too
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        followed = asyncio.create_task(self._follow())
        led = asyncio.create_task(self._lead())
        ended = asyncio.create_task(stop.wait())
        tasks: tuple[asyncio.Task[Any], ...] = (followed, led, ended)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in (followed, led):
                if task.done():
                    task.result()  # they end by errors alone
            logger.info("stopping")
            await self._outbox.end()
            await self._writer.finish()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._providers.close()
            # What was cancelled while it was under way may still be carried out.
            await self._writer.finish()
            await self.elector.release()
            await self._lease_kube.close()

    async def _follow(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._engines.follow())
            group.create_task(self.world.run())
            group.create_task(self._outbox.follow())
            group.create_task(self._artifacts.follow())
            group.create_task(self.metrics.watchdog.run())

    async def _lead(self) -> None:
        await self.elector.acquire()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.elector.keep())
                group.create_task(self._work())
        except ExceptionGroup as errors:
            lost = errors.subgroup(LeaseLostError)
            if lost is None:
                raise
            raise LeaseLostError(_first(lost)) from errors

    async def _work(self) -> None:
        await self._engines.wait_synced()
        await self.world.wait_synced()
        await self._outbox.wait_synced()
        await self._artifacts.wait_synced()
        await self._resync()
        # Until now changes were only remembered: whoever stands by would queue them for ever.
        self._active = True
        for key in self.world.tracker.records:
            self._executions.add(key)
        for pod in self.world.pods.items:
            self._pods.add(pod)
        self._of_channels.start()
        self.metrics.leader.set_function(self.elector.holds)
        logger.info("active: %d executions known", len(self.world.tracker.records))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            group.create_task(self._follow_options())
            group.create_task(self._outbox.work())
            group.create_task(self._engines.work())
            group.create_task(self._artifacts.work(self.metrics))
            group.create_task(self._dangling.run())
            for _ in range(WORKERS["channels"]):
                queue, reconcile = self._of_channels.queue, self._of_channels.reconcile
                group.create_task(work("channels", queue, reconcile, self.metrics))
            group.create_task(self.parallelism.run())
            for _ in range(WORKERS["options"]):
                group.create_task(work("options", self._options, self._reconcile_options, self.metrics))
            for _ in range(WORKERS["executions"]):
                group.create_task(work("executions", self._executions, self._of_executions.reconcile, self.metrics))
            for _ in range(WORKERS["pods"]):
                group.create_task(work("pods", self._pods, self._of_pods.reconcile, self.metrics))

    async def _reconcile_options(self, key: OptionsKey) -> float | None:
        again = await self._of_options.reconcile(key)
        self._outbox.trials.look(key)
        self._artifacts.options_changed(key.namespace)
        return again

    async def _resync(self) -> None:
        """List all options; while that fails, again and again."""
        said = ""
        while True:
            try:
                keys = await self.index.resync()
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
                if isinstance(error, ApiError) and error.status == 404:
                    reason = f"{names.GROUP}/{names.VERSION} is not installed in the cluster"
                if reason != said:
                    logger.warning("options cannot be listed: %s", reason)
                said = reason
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for key in keys:
                self._options.add(key)
            return

    async def _follow_options(self) -> None:
        """Keep kopf running, and look now and then whether it missed anything."""
        while True:
            kopf = KopfLoop(self.options_changed, *self._connection, self.metrics.watchdog)
            running = asyncio.create_task(kopf.run())
            try:
                while not running.done():
                    await asyncio.wait([running], timeout=self._settings.resync)
                    await self._resync()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            logger.error("kopf ended; starting it again")
            await asyncio.sleep(RETRY_SECONDS)


def _first(errors: ExceptionGroup[LeaseLostError]) -> str:
    error: Exception = errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def _identifier(metadata: ObjectMeta) -> str:
    return (metadata.labels or {}).get(ID_LABEL, "")


def _told(item: ExecutionObject) -> tuple[str | None, bool]:
    """What pods follow: edits, and whether they are to have the label of those that a limit counts."""
    metadata = item.metadata
    return (metadata.annotations or {}).get(LIVE_ANNOTATION), GATE in (metadata.labels or {})


def _said(item: ExecutionObject) -> tuple[str, str | None, str | None]:
    """What options said of an execution."""
    annotations = item.metadata.annotations or {}
    return item.metadata.uid, annotations.get(SNAPSHOT_ANNOTATION), annotations.get(LIVE_ANNOTATION)


async def serve(kube: Kube, settings: Settings, kubeconfig: Path | None, context: str | None) -> None:
    """Run the controller until SIGTERM or SIGINT.

    Raises:
        LeaseLostError: another controller may be active by now.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    controller = Controller(kube, settings, kubeconfig, context)
    gc.freeze()  # what was imported stays anyway: looking through it again and again delays releases
    port = Port(
        health_app(controller.metrics.watchdog.late, lambda: controller.missing(stop), controller.metrics.registry)
    )
    try:
        logger.info("probes and metrics on port %d", await port.open(settings.host, settings.health_port))
        await controller.run(stop)
    finally:
        await port.close()
