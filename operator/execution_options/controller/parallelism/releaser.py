"""Releases pods: one PATCH each, many under way, none of which makes more run than the cap allows."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from execution_options.controller.parallelism.objects import GatedPod
from execution_options.controller.queue import Queue
from execution_options.kube.client import ApiError, path_of
from execution_options.parallelism.gate import release
from execution_options.parallelism.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.controller.metrics import Metrics
    from execution_options.controller.parallelism.board import Board
    from execution_options.controller.parallelism.objects import GroupKey
    from execution_options.controller.writer import Writer
    from execution_options.kube.client import Kube
    from execution_options.parallelism.slots import Pod

logger = logging.getLogger(__name__)

UNDER_WAY: Final = 32
"""Most requests at once; they share the connections with everything else."""
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 30.0
PATIENCE: Final = 5
"""Failures of one pod's release after which a warning is due."""

_POD: Final = msgspec.json.Decoder(GatedPod)


class Releaser:
    """Takes one pod of one execution after the other, in turn.

    An answer that may mean either way counts as a release: the pod keeps its slot, and is asked for again.

    Args:
        kube: for reading.
        writer: for writing, while the lease holds.
        metrics: counts.
        seconds: how long a request may take.
    """

    def __init__(self, kube: Kube, writer: Writer, metrics: Metrics, seconds: float) -> None:
        self._kube = kube
        self._writer = writer
        self._metrics = metrics
        self._seconds = seconds
        self._ready: Queue[GroupKey] = Queue()
        self._since: dict[GroupKey, float] = {}
        self._failures: Counter[str] = Counter()

    def add(self, key: GroupKey) -> None:
        """Pods of a group can be released."""
        self._since.setdefault(key, time.monotonic())
        self._ready.add(key)

    async def run(self, board: Board) -> None:
        """Release until cancelled.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        free = asyncio.Semaphore(UNDER_WAY)

        async def one(pod: Pod, since: float) -> None:
            try:
                await self._release(board, pod, since)
            finally:
                free.release()

        async with asyncio.TaskGroup() as under_way:
            while True:
                await free.acquire()
                pod, since = await self._next(board)
                under_way.create_task(one(pod, since))

    async def _next(self, board: Board) -> tuple[Pod, float]:
        while True:
            key = await self._ready.take()
            self._ready.done(key)
            since = self._since.pop(key, time.monotonic())
            group = board.groups.get(key)
            pod = None if group is None else group.slots.next()
            if group is not None and pod is not None:
                if group.slots.releasable:
                    # Behind all others whose turn it is.
                    self._since[key] = since
                    self._ready.add(key)
                return pod, since

    async def _release(self, board: Board, pod: Pod, since: float) -> None:
        path = path_of("", "v1", "pods", pod.namespace, pod.name)
        result = "released"
        try:
            await self._writer.patch(path, release(pod.uid, annotated=bool(pod.waiting)))
        except ApiError as error:
            result = await self._answered(board, pod, path, error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            result = self._doubt(board, pod, error)
        else:
            self._failures.pop(pod.uid, None)
            self._metrics.release_seconds.observe(time.monotonic() - since)
            self._metrics.wait_seconds.observe(_age(pod))
        self._metrics.releases.labels(result).inc()

    async def _answered(self, board: Board, pod: Pod, path: str, error: ApiError) -> str:
        """What follows from an error of the API server; for the metric, what it was."""
        if error.status == 404:
            return self._gone(board, pod)
        if error.status >= 500:
            return self._doubt(board, pod, error)
        if error.status in (409, 429):
            # Certainly not carried out, and nothing is wrong with the pod.
            self._later(board, pod, error, Slots.repeat)
            return "repeated"
        if error.status == 422:
            try:
                fresh = _POD.decode(await self._kube.get(path, seconds=self._seconds))
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as again:
                if isinstance(again, ApiError) and again.status == 404:
                    return self._gone(board, pod)
                self._later(board, pod, again, Slots.repeat)
                return "repeated"
            if fresh.facts.uid != pod.uid:
                return self._gone(board, pod)
            board.seen(fresh)
            if not fresh.facts.gated:
                self._failures.pop(pod.uid, None)
                return "released"
        slots = board.slots_of(pod.uid)
        if slots is not None and slots.refuse(pod.uid):
            self._later(board, pod, error, Slots.readmit)
            board.tell(pod.uid)
            return "refused"
        self._later(board, pod, error, Slots.repeat)
        return "repeated"

    def _gone(self, board: Board, pod: Pod) -> str:
        self._failures.pop(pod.uid, None)
        board.lost(pod.uid)
        return "gone"

    def _doubt(self, board: Board, pod: Pod, error: Exception) -> str:
        slots = board.slots_of(pod.uid)
        if slots is not None:
            slots.doubt(pod.uid)
        self._later(board, pod, error, Slots.repeat)
        return "unanswered"

    def _later(self, board: Board, pod: Pod, error: Exception, action: Callable[[Slots, str], None]) -> None:
        """Do something about a pod after a pause that grows with its failures."""
        self._failures[pod.uid] += 1
        failures = self._failures[pod.uid]
        pause = min(FIRST_PAUSE * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
        level = logging.WARNING if failures >= PATIENCE else logging.INFO
        reason = str(error) or type(error).__name__
        logger.log(level, "pod %s/%s is not released: %s; again in %.1f s", pod.namespace, pod.name, reason, pause)

        def act() -> None:
            slots = board.slots_of(pod.uid)
            if slots is None:
                self._failures.pop(pod.uid, None)
                return
            action(slots, pod.uid)
            board.tell(pod.uid)

        asyncio.get_running_loop().call_later(pause, act)


def _age(pod: Pod) -> float:
    """Seconds since a pod was created, by this machine's clock."""
    try:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(pod.created)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
