"""Pods that come later, and unmarked, of executions that were created past the webhook.

What such an execution controlled before it was repaired has neither identifier nor label, and gives none to its pods:
nothing else tells of them. So the unmarked pods of its engine are followed in its namespace, for as long as it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from execution_options.api.names import GATE, MISSED_ANNOTATION
from execution_options.controller.objects import LIVING
from execution_options.controller.parallelism.objects import is_unit
from execution_options.kube.client import path_of
from execution_options.kube.meta import ObjectMeta, PartialObject
from execution_options.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.controller.world import World
    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube

FIRST_PAUSE: Final = 0.1
"""Between two looks at a pod that was seen before what controls it; doubled each time."""
LONGEST_PAUSE: Final = 60.0
"""The same; and between two looks whether any such execution is left."""


class Latecomers:
    """Follows pods where there is an execution that was created past the webhook and has a limit.

    Args:
        kube: the connection.
        world: executions, and whose a pod is.
        hold: is told of pods that have to count.
    """

    def __init__(self, kube: Kube, world: World, hold: Callable[[ObjectMeta], object]) -> None:
        self._kube = kube
        self._world = world
        self._hold = hold
        self._wanted: asyncio.Queue[tuple[Engine, str]] = asyncio.Queue()
        self.followed: set[tuple[str, str]] = set()
        """By the name of the engine and the namespace."""

    def follow(self, engine: Engine, namespace: str) -> None:
        """Follow the pods of an engine in a namespace, where that is not done yet."""
        where = (engine.name, namespace)
        if where not in self.followed:
            self.followed.add(where)
            self._wanted.put_nowait((engine, namespace))

    async def run(self) -> None:
        """Follow what is to be followed until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._follow(*await self._wanted.get()))

    async def _follow(self, engine: Engine, namespace: str) -> None:
        unknown: dict[str, ObjectMeta] = {}
        changed = asyncio.Event()

        def told(old: PartialObject | None, new: PartialObject | None) -> None:
            if old is not None:
                unknown.pop(old.metadata.uid, None)
            if new is not None:
                unknown[new.metadata.uid] = new.metadata
                changed.set()

        label = next((f"{label}," for label in engine.pods.labels), "")
        store = Store(
            self._kube,
            path_of("", "v1", "pods", namespace),
            PartialObject,
            label_selector=f"{label}!{GATE}",
            field_selector=LIVING,
            metadata_only=True,
            on_change=told,
        )
        pause = LONGEST_PAUSE
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(store.run())
                while self._world.tracker.missed(engine.name, namespace):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await changed.wait()
                    pause = FIRST_PAUSE if changed.is_set() else pause * 2
                    changed.clear()
                    for uid, pod in list(unknown.items()):
                        if self._is_settled(pod):
                            del unknown[uid]
                    pause = min(pause, LONGEST_PAUSE) if unknown else LONGEST_PAUSE
                following.cancel()
        finally:
            self.followed.discard((engine.name, namespace))

    def _is_settled(self, pod: ObjectMeta) -> bool:
        """Hold a slot for a pod that has to count; whether it is known whether it has."""
        if pod.controller is None:
            return True
        key = self._world.tracker.of_pod(pod)
        execution = None if key is None else self._world.execution(key)
        if execution is None:
            return False
        metadata = execution.metadata
        missed = MISSED_ANNOTATION in (metadata.annotations or {}) and GATE in (metadata.labels or {})
        if missed and is_unit(self._world.engines, pod):
            self._hold(pod)
        return True
