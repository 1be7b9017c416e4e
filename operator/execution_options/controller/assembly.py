"""The one place where the parts of the controller's process are put together."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any, Final

from execution_options.controller.cache import Directory, OptionsIndex, World
from execution_options.controller.changes import Changes
from execution_options.controller.channels import ChannelPost, ChannelReconciler, Materials
from execution_options.controller.engines import ArtifactRepositories, EngineLoop
from execution_options.controller.executions import (
    ExecutionReconciler,
    PodReconciler,
    SlotLabels,
    Unenforced,
    Unfollowed,
)
from execution_options.controller.options import OptionsReconciler
from execution_options.controller.outbox import DanglingReferences, Outbox, Outcomes, Refusals
from execution_options.controller.parallelism import Parallelism
from execution_options.controller.runtime import (
    Elector,
    Metrics,
    Pace,
    Queue,
    Recorder,
    SharedBucket,
    Shell,
    Writer,
    work,
)
from execution_options.engines.registry import builtin_engines
from execution_options.kube.account import own_account
from execution_options.providers.factory import Providers
from execution_options.providers.outbound import Outbound
from execution_options.proxies import Proxies

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from execution_options.api.keys import ExecutionKey, Key, OptionsKey
    from execution_options.controller.runtime import Settings
    from execution_options.kube.client import Kube

WORKERS: Final = {"channels": 2, "options": 4, "executions": 8, "pods": 8}
"""Workers of each queue. Except for channels, one of them always stays free of the namespace that occupies the rest."""


class Parts:
    """Everything of one process, put together; nothing runs yet."""

    def __init__(self, kube: Kube, settings: Settings) -> None:
        self.settings = settings
        changes = self.changes = Changes(self)
        identity = f"{socket.gethostname()}_{secrets.token_hex(8)}"
        self.metrics = Metrics()
        # A connection of its own, so that nothing else delays the renewal of the Lease.
        self.lease_kube = kube.apart()
        self.leasing = self.metrics.watchdog.expect("the Lease", settings.timing.bound)
        self.elector = Elector(
            self.lease_kube,
            settings.namespace,
            settings.lease,
            identity,
            settings.timing,
            owner=lambda: own_account(kube, settings.namespace, settings.timing.request_timeout),
            tried=self.leasing.advance,
        )
        self.options: Queue[OptionsKey] = Queue(each=WORKERS["options"] - 1)
        self.executions: Queue[ExecutionKey] = Queue(each=WORKERS["executions"] - 1)
        self.pods: Queue[Key] = Queue(each=WORKERS["pods"] - 1)
        self.world = World(kube, builtin_engines(), changes)
        self.index = OptionsIndex(kube, changes.options_changed, settings.resync)
        writer = self.writer = Writer(kube, self.elector.holds, settings.timing.request_timeout)
        patches = Pace(settings.patch_rate)
        shell = Shell(kube, writer, patches, self.metrics)
        events = SharedBucket(settings.event_rate, max(1, int(settings.event_rate * 10)))
        self.recorder = Recorder(writer, events, self.metrics, identity)
        unfollowed = Unfollowed(self.world, self.index, self.options.add)
        unenforced = Unenforced(self.world, self.index, self.options.add)
        slots = SlotLabels(self.world, shell, self.recorder)
        self.of_pods = PodReconciler(self.world, shell, self.recorder, slots, unfollowed, unenforced)
        self.of_executions = ExecutionReconciler(
            self.world, self.index, shell, self.recorder, self.of_pods, slots, unfollowed
        )
        self.artifacts = ArtifactRepositories(kube, self.index, writer, changes.repository_changed)
        self.parallelism = Parallelism(
            kube,
            self.world,
            self.index,
            writer,
            self.recorder,
            self.metrics,
            settings,
            changes.pod_numbers_changed,
        )
        directory = self.directory = Directory(
            kube, settings.namespace, self.world.namespace_labels, changes.channel_changed, settings.resync
        )
        materials = Materials(kube, settings.namespace)
        self.of_channels = ChannelReconciler(directory, materials, writer, settings.namespace, settings.status_interval)
        refusals = Refusals(self.index, self.recorder, self.metrics, self.options.add)
        outcomes = Outcomes(self.index, self.recorder, self.options.add)
        self.of_options = OptionsReconciler(
            self.index,
            self.world,
            directory,
            writer,
            self.executions,
            self.parallelism.board,
            outcomes,
            self.artifacts,
            (refusals.aspects, unfollowed.aspects, unenforced.aspects),
            settings.status_interval,
        )
        self.providers = Providers(Outbound(settings.allowed_networks), settings.send_timeout, Proxies.of(os.environ))
        self.outbox = Outbox(
            kube,
            writer,
            settings,
            identity,
            self.world,
            self.index,
            directory,
            ChannelPost(directory, materials, self.providers, self.of_channels),
            self.recorder,
            refusals,
            outcomes,
            self.metrics,
        )
        self.dangling = DanglingReferences(
            kube, self.world, self.index, directory, self.outbox.deliveries, self.recorder, self.metrics, settings
        )
        self.engines = EngineLoop(kube, self.world, writer, settings, self.metrics, changes.engines_used)
        self.followed = (self.engines, self.world, self.index, self.outbox, self.artifacts)
        """What follows the cluster from the beginning, on a standby, too."""
        for name, queue in (("options", self.options), ("executions", self.executions), ("pods", self.pods)):
            self.metrics.watch_queue(name, queue.__len__)
        self.metrics.watch_queue("channels", self.of_channels.queue.__len__)
        self.metrics.watch_queue("artifacts", self.artifacts.pending)
        self.metrics.watch_executions(self.world.tracker.counts)
        self.metrics.watch_unreadable(self.world.unreadable)

    def workers(self) -> Iterator[Coroutine[Any, Any, None]]:
        """The workers of all queues, as coroutines that run until cancelled."""
        for _ in range(WORKERS["channels"]):
            yield work("channels", self.of_channels.queue, self.of_channels.reconcile, self.metrics)
        for _ in range(WORKERS["options"]):
            yield work("options", self.options, self._reconcile_options, self.metrics)
        for _ in range(WORKERS["executions"]):
            yield work("executions", self.executions, self.of_executions.reconcile, self.metrics)
        for _ in range(WORKERS["pods"]):
            yield work("pods", self.pods, self.of_pods.reconcile, self.metrics)

    async def _reconcile_options(self, key: OptionsKey) -> float | None:
        again = await self.of_options.reconcile(key)
        self.outbox.trials.check(key)
        self.artifacts.options_changed(key.namespace)
        return again
