"""Removes our gate from pods that Kueue manages: Kueue decides when they run, and they take no slot."""

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
"""Pods that are left to Kueue at the same time, so that Kueue releases few before their turn here."""


class Kueue:
    """Leaves pods to Kueue.

    Our webhook is called before Kueue's, and cannot know which pods Kueue will manage. Each attempt decides by a fresh
    read. An unanswered request is therefore repeated, and a pod that Kueue released first stays ours and waits for a
    slot.
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
        """Leave pods to Kueue until cancelled.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work("pods of Kueue", self._queue, self.leave, self._metrics))

    async def leave(self, key: Key) -> None:
        """Leave a pod to Kueue if it still has Kueue's gate."""
        path = path_of("", "v1", "pods", *key)
        try:
            pod = decoding.read(await self._kube.get(path), GatedPod)
            if pod.gates:
                await self._writer.patch(path, leave_to_kueue(pod.facts.uid, pod.gates))
        except ApiError as error:
            if not error.is_not_found:
                raise
