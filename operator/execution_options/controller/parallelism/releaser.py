"""Releases pods by one PATCH each, many at once, and never more than the cap allows."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from execution_options.api import decoding
from execution_options.controller.runtime import EFFECT_WITHIN, Queue, backoff
from execution_options.kube.client import REQUEST_ERRORS, ApiError, path_of
from execution_options.logs import error_text
from execution_options.parallelism.gate import release
from execution_options.parallelism.pods import GatedPod
from execution_options.parallelism.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import GroupKey
    from execution_options.controller.runtime import Metrics, Writer
    from execution_options.kube.client import Kube
    from execution_options.parallelism.board import Board
    from execution_options.parallelism.slots import Pod

logger = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Most requests at once; they share the connections with everything else."""
LONGEST_PAUSE: Final = 30.0
"""Longest pause in seconds after a failure."""
REMEMBERED: Final = 1000
"""Pods with failed releases that are remembered before those that need none any more are forgotten."""
WARN_AFTER: Final = 5
"""Failures of one pod's release from which on they are logged as warnings."""


class _Failure(msgspec.Struct):
    """The failed releases of a pod."""

    times: int = 0
    over: float = 0.0
    """When the last unanswered request can no longer take effect, in monotonic seconds."""


class Releaser:
    """Releases one pod at a time; executions take turns.

    An unanswered request counts as a release: the pod keeps its slot, and the request is repeated.

    Args:
        seconds: time-out of a request.
    """

    def __init__(self, kube: Kube, writer: Writer, metrics: Metrics, seconds: float) -> None:
        self._kube = kube
        self._writer = writer
        self._metrics = metrics
        self._seconds = seconds
        self._ready: Queue[GroupKey] = Queue()
        self._since: dict[GroupKey, float] = {}
        self._failed: dict[str, _Failure] = {}
        """uid → failures; some of these pods need no release any more."""
        self._most = REMEMBERED

    def add(self, key: GroupKey) -> None:
        """Pods of a group can be released."""
        self._since.setdefault(key, time.monotonic())
        self._ready.add(key)

    async def run(self, board: Board) -> None:
        """Release pods until cancelled.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        free = asyncio.Semaphore(AT_ONCE)

        async def one(pod: Pod, since: float) -> None:
            try:
                with self._metrics.watchdog.working("the release of a pod", f"{pod.namespace}/{pod.name}"):
                    await self._release(board, pod, since)
            finally:
                free.release()

        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                pod, since = await self._next(board)
                group.create_task(one(pod, since))

    async def _next(self, board: Board) -> tuple[Pod, float]:
        while True:
            key = await self._ready.take()
            self._ready.done(key)
            since = self._since.pop(key, time.monotonic())
            group = board.groups.get(key)
            pod = None if group is None else group.slots.next()
            if group is not None and pod is not None:
                if group.slots.releasable:
                    # The group goes to the end of the line.
                    self._since[key] = since
                    self._ready.add(key)
                return pod, since

    async def _release(self, board: Board, pod: Pod, since: float) -> None:
        path = path_of("", "v1", "pods", pod.namespace, pod.name)
        slots = board.slots_of(pod.uid)
        if slots is not None and slots.must_verify(pod.uid):
            result = await self._verify(board, pod, path)
        else:
            result = await self._send(board, pod, path, since)
        self._metrics.releases.labels(result).inc()

    async def _send(self, board: Board, pod: Pod, path: str, since: float) -> str:
        """Send a release; return its result for the metric."""
        sent = time.monotonic()
        try:
            await self._writer.patch(path, release(pod.uid, annotated=bool(pod.waiting)))
        except REQUEST_ERRORS as error:
            if isinstance(error, ApiError) and error.is_certain:
                return await self._refused(board, pod, path, error)
            slots = board.slots_of(pod.uid)
            if slots is not None:
                slots.doubt(pod.uid)
            self._later(board, pod, error, Slots.repeat).over = sent + EFFECT_WITHIN * self._seconds
            return "unanswered"
        self._failed.pop(pod.uid, None)
        self._metrics.release_seconds.observe(time.monotonic() - since)
        self._metrics.wait_seconds.observe(_age(pod))
        return "released"

    async def _refused(self, board: Board, pod: Pod, path: str, error: ApiError) -> str:
        """Handle a release that was certainly not carried out; return its result for the metric."""
        if error.is_not_found:
            return self._gone(board, pod)
        if error.status == 422:
            found = await self._read(board, pod, path)
            if found:
                return found
        slots = board.slots_of(pod.uid)
        # If the cause is not the pod, it keeps its turn, so that a busy API server is not asked for all others, too.
        if error.status not in (409, 429) and slots is not None and slots.refuse(pod.uid):
            self._later(board, pod, error, Slots.readmit)
            board.notify(pod.uid)
            return "refused"
        self._later(board, pod, error, Slots.repeat)
        return "repeated"

    async def _verify(self, board: Board, pod: Pod, path: str) -> str:
        """Find out whether an unanswered release was carried out, once it can no longer take effect."""
        failed = self._failed.get(pod.uid)
        wait = 0.0 if failed is None else failed.over - time.monotonic()
        if wait > 0:
            self._in(wait, board, pod.uid, Slots.repeat)
            return "deferred"
        found = await self._read(board, pod, path)
        if found:
            return found
        self._failed.pop(pod.uid, None)
        slots = board.slots_of(pod.uid)
        if slots is not None:
            slots.requeue(pod.uid)
            board.notify(pod.uid)
        return "settled"

    async def _read(self, board: Board, pod: Pod, path: str) -> str:
        """Read a pod; return the result of its release, or an empty text if it is still gated."""
        try:
            fresh = decoding.read(await self._kube.get(path, seconds=self._seconds), GatedPod)
        except REQUEST_ERRORS as error:
            if isinstance(error, ApiError) and error.is_not_found:
                return self._gone(board, pod)
            self._later(board, pod, error, Slots.repeat)
            return "repeated"
        if fresh.facts.uid != pod.uid:
            return self._gone(board, pod)
        board.seen(fresh)
        if fresh.facts.gated:
            return ""
        self._failed.pop(pod.uid, None)
        return "released"

    def _gone(self, board: Board, pod: Pod) -> str:
        self._failed.pop(pod.uid, None)
        board.lost(pod.uid)
        return "gone"

    def _later(self, board: Board, pod: Pod, error: Exception, action: Callable[[Slots, str], None]) -> _Failure:
        """Call ``action`` for a pod after a pause that grows with its failures."""
        if len(self._failed) >= self._most:
            self._failed = {uid: failed for uid, failed in self._failed.items() if _is_gated(board, uid)}
            self._most = max(REMEMBERED, 2 * len(self._failed))
        failed = self._failed.setdefault(pod.uid, _Failure())
        failed.times += 1
        pause = backoff(failed.times, LONGEST_PAUSE)
        level = logging.WARNING if failed.times >= WARN_AFTER else logging.INFO
        reason = error_text(error)
        logger.log(level, "pod %s/%s is not released: %s; again in %.1f s", pod.namespace, pod.name, reason, pause)
        self._in(pause, board, pod.uid, action)
        return failed

    def _in(self, seconds: float, board: Board, uid: str, action: Callable[[Slots, str], None]) -> None:
        def act() -> None:
            slots = board.slots_of(uid)
            if slots is not None:
                action(slots, uid)
                board.notify(uid)

        asyncio.get_running_loop().call_later(seconds, act)


def _is_gated(board: Board, uid: str) -> bool:
    slots = board.slots_of(uid)
    pod = None if slots is None else slots.get(uid)
    return pod is not None and pod.gated


def _age(pod: Pod) -> float:
    """Seconds since a pod was created, by this machine's clock."""
    try:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(pod.created)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
