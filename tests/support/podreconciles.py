"""A run and its pods, with the reconcilers of pods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from msgspec import convert

from execution_options.api.names import GATE
from execution_options.controller.cache.objects import PodObject
from execution_options.controller.executions.pods import PodReconciler
from execution_options.controller.executions.slotlabels import SlotLabels
from execution_options.controller.runtime.conflicts import Shell
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import Pace
from support.podapi import RUN, TEAM, PodApi, Watcher, owned

if TYPE_CHECKING:
    from execution_options.api.keys import ExecutionKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.status.events import Announcement

ASSISTANT: dict[str, Any] = {"app.kubernetes.io/component": "affinity-assistant"}


class Reconciling:
    """A run, its pods, and what becomes of them."""

    def __init__(self, name: str = "run", **more: Any) -> None:
        self.api = PodApi()
        self.metrics = Metrics()
        self.watcher = Watcher(self.api)
        self.key: ExecutionKey = self.watcher.run(name, **more)
        self.events: list[tuple[str, str, str]] = []
        world: Any = SimpleNamespace(
            pods=SimpleNamespace(get=lambda _, pod: convert(self.api.pods[pod], PodObject)),
            tracker=self.watcher.tracker,
            engines=self.watcher.engines,
            execution=self.watcher.execution,
        )
        server: Any = self.api
        shell = Shell(server, server, Pace(1000), self.metrics)
        unfollowed: Any = SimpleNamespace(pod_followed=lambda _: None)
        self.unenforced: list[str] = []
        unenforced: Any = SimpleNamespace(
            pod_followed=lambda _: self.unenforced.clear(), refused=lambda _, why, pod: self.unenforced.append(why)
        )
        recorder: Any = SimpleNamespace(post=self.post)
        self.slots = SlotLabels(world, shell, recorder)
        self.reconciler = PodReconciler(world, shell, recorder, self.slots, unfollowed, unenforced)

    def post(self, _: object, metadata: ObjectMeta, event: Announcement) -> None:
        self.events.append((metadata.name, event.reason, event.note))

    def label(self, pod: str) -> str | None:
        label: str | None = self.api.pods[pod]["metadata"]["labels"].get(GATE)
        return label

    async def reconcile(self, **labels: str) -> str | None:
        """The label that a pod with these has afterwards."""
        owned(self.api, "p", "run", labels=labels)
        await self.reconciler.reconcile((TEAM, "p"))
        return self.label("p")

    async def count(self) -> None:
        metadata = self.watcher.runs[self.key].metadata
        await self.slots.count(self.key, self.watcher.engines[RUN], metadata)
