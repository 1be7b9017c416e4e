"""Takes our gate off pods that Kueue has: it decides when they run, and they have no slot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from execution_options.api import decoding
from execution_options.controller.runtime import Queue, work
from execution_options.kube.client import ApiError, path_of
from execution_options.parallelism.gate import leave_to_kueue
from execution_options.parallelism.pods import GatedPod

if TYPE_CHECKING:
    from execution_options.api.keys import Key
    from execution_options.controller.runtime import Metrics, Writer
    from execution_options.kube.client import Kube

WORKERS: Final = 4
"""Pods at once: Kueue should not let many go before they are left to it."""


class Kueue:
    """Leaves pods to Kueue.

    Our webhook comes before Kueue's, and cannot see who will be Kueue's. What is read decides, each time: so an answer
    that may mean either way is asked for again, and a pod that Kueue let go first stays ours, and waits for a slot.

    Args:
        kube: for reading.
        writer: for writing, while the lease holds.
        metrics: counts.
    """

    def __init__(self, kube: Kube, writer: Writer, metrics: Metrics) -> None:
        self._kube = kube
        self._writer = writer
        self._metrics = metrics
        self._queue: Queue[Key] = Queue()

    def add(self, pod: GatedPod) -> None:
        """A pod has Kueue's gate beside ours."""
        self._queue.add((pod.metadata.namespace, pod.metadata.name))

    async def run(self) -> None:
        """Leave to Kueue what comes, until cancelled.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work("pods of Kueue", self._queue, self.leave, self._metrics))

    async def leave(self, key: Key) -> None:
        """Leave a pod to Kueue if that has it still."""
        path = path_of("", "v1", "pods", *key)
        try:
            pod = decoding.read(await self._kube.get(path), GatedPod)
            if pod.gates:
                await self._writer.patch(path, leave_to_kueue(pod.facts.uid, pod.gates))
        except ApiError as error:
            if not error.is_not_found:
                raise
