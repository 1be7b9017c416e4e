"""Reports what pods wait for: Events on executions and annotations on pods, both at a bounded rate."""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Literal

from execution_options.api import decoding
from execution_options.api.keys import ExecutionKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import WAITING_ANNOTATION
from execution_options.controller.runtime import Announcement
from execution_options.kube.client import REQUEST_ERRORS, path_of
from execution_options.kube.engines import executions_path
from execution_options.logs import error_text
from execution_options.parallelism import waiting
from execution_options.parallelism.gate import refuses, running_timeouts
from execution_options.parallelism.groups import BARE

if TYPE_CHECKING:
    from execution_options.api.keys import GroupKey
    from execution_options.controller.cache import World
    from execution_options.controller.runtime import Recorder, Writer
    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube
    from execution_options.kube.quotas import Quotas
    from execution_options.parallelism.board import Board
    from execution_options.parallelism.groups import Group
    from execution_options.parallelism.slots import Pod

logger = logging.getLogger(__name__)

ROUND_SECONDS: Final = 2.0
"""Seconds between two rounds; a shorter wait is not reported."""
ANNOTATIONS: Final = 10
"""Most annotations written in a round."""
PODS: Final = 100
"""Most pods of one line that get their place as an annotation, because the places far behind change all the time."""
VISITS: Final = 1000
"""Most pods visited in a round, so that releases do not have to wait for it."""
QUIET_SECONDS: Final = 60.0
"""Seconds for which a report stays as it is, although the numbers have changed."""


class Announcer:
    """Reports in rounds of two seconds.

    Args:
        quotas: the quotas that count waiting pods.
    """

    def __init__(self, kube: Kube, world: World, writer: Writer, recorder: Recorder, quotas: Quotas) -> None:
        self._kube = kube
        self._world = world
        self._writer = writer
        self._recorder = recorder
        self._quotas = quotas
        self._posted: dict[tuple[GroupKey, str], tuple[float, int | None]] = {}
        """Group and reason of an Event → when it was posted, and at which cap; an edit is reported at once."""
        self._why: dict[GroupKey, str] = {}
        self._written: dict[str, tuple[float, int | None]] = {}
        """uid of a pod → when its place was written, and at which cap."""
        self._waited: set[GroupKey] = set()
        """Groups with waiting pods in the last round."""
        self._next = 0
        """Where the next round of annotations begins."""

    async def run(self, board: Board) -> None:
        """Report until cancelled.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await self.round(board, time.monotonic())

    async def round(self, board: Board, now: float) -> None:
        """Report what is the case in this round; waiting is reported if it lasts since the last round.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        groups = [group for group in board.groups.values() if group.slots.cap is not None]
        waits = {group.key for group in groups if group.slots.waiting}
        lasting = waits & self._waited
        self._posted = {which: last for which, last in self._posted.items() if which[0] in board.groups}
        self._why = {key: why for key, why in self._why.items() if key in board.groups}
        self._written = {uid: last for uid, last in self._written.items() if now - last[0] < QUIET_SECONDS}
        for group in groups:
            self._post_over(group, now)
            if group.key in lasting:
                await self._post_waiting(group, now)
        # An unknown execution usually becomes known in a moment.
        certain = lasting | {group.key for group in groups if not self._held(group)}
        concerned = certain & (self._waited | waits)
        await self._annotate([group for group in groups if group.key in concerned], now)
        self._waited = waits

    def explain(self, key: GroupKey, why: str) -> None:
        """Remember why pods without a known execution are held; empty for no particular reason."""
        self._why[key] = why

    def left_to_kueue(self, key: GroupKey) -> None:
        """Post that Kueue decides when the pods of an execution run."""
        found = self._regarding(key)
        if found is not None:
            note = "its pods are managed by Kueue: maxParallelism is left to its quota"
            self._recorder.post(*found, Announcement("Normal", "LeftToKueue", "Wait", note))

    def _is_due(self, group: Group, reason: str, now: float) -> bool:
        """Whether an Event with this reason was not posted for a while or at this cap; note that it is now."""
        at, cap = self._posted.get((group.key, reason), (-QUIET_SECONDS, None))
        if now - at < QUIET_SECONDS and cap == group.slots.cap:
            return False
        self._posted[group.key, reason] = (now, group.slots.cap)
        return True

    def _post_over(self, group: Group, now: float) -> None:
        over = waiting.over_text(group.slots)
        found = self._regarding(group.key, group) if over else None
        if found is not None and self._is_due(group, "OverParallelism", now):
            kind: Literal["Normal", "Warning"] = "Warning" if waiting.skipping(group.slots) else "Normal"
            self._recorder.post(*found, Announcement(kind, "OverParallelism", "Wait", over))

    async def _post_waiting(self, group: Group, now: float) -> None:
        """Post what the pods of a group wait for."""
        key, found = group.key, self._regarding(group.key, group)
        first = (key, "WaitingForSlot") not in self._posted
        if found is None or not self._is_due(group, "WaitingForSlot", now):
            return
        text = waiting.execution_text(group.slots)
        self._recorder.post(*found, Announcement("Normal", "WaitingForSlot", "Wait", text))
        used = self._quotas.nearly_used(key.namespace)
        if used is not None:
            note = waiting.quota_text(used.quota, used.text, refused=refuses(found[0]))
            self._recorder.post(*found, Announcement("Warning", "QuotaNearlyUsed", "Wait", note))
        if first:
            await self._warn(*found)

    def _held(self, group: Group) -> str:
        """Why no pod of a group is released, however many slots are free; empty if pods are released."""
        return "" if group.key.engine else self._why.get(group.key) or waiting.UNKNOWN

    async def _warn(self, engine: Engine, metadata: ObjectMeta) -> None:
        """Post which time-outs of an execution pass while its pods wait."""
        document: dict[str, Any] = {
            "metadata": {"labels": metadata.labels or {}, "annotations": metadata.annotations or {}}
        }
        if engine.timeouts:
            path = executions_path(engine, metadata.namespace, metadata.name)
            try:
                document = decoding.read_object(await self._kube.get(path))
            except REQUEST_ERRORS as error:
                logger.info("%s: %s", path, error)
                return
        passing = running_timeouts(engine, document)
        if passing:
            note = f"pods wait for a parallelism slot, and {passing} passes meanwhile"
            self._recorder.post(engine, metadata, Announcement("Warning", "TimeoutsPass", "Wait", note))

    def _regarding(self, key: GroupKey, group: Group | None = None) -> tuple[Engine, ObjectMeta] | None:
        """The object of an Event: the execution, or the first in line of a group of bare pods."""
        engine = self._world.engines.get(key.engine)
        if engine is None:
            return None
        if key.engine == BARE:
            pod = None if group is None else next(chain(group.slots.line(), group.slots.users()), None)
            return None if pod is None else (engine, ObjectMeta(name=pod.name, namespace=key.namespace, uid=pod.uid))
        execution = self._world.execution(ExecutionKey(*key))
        return None if execution is None else (engine, execution.metadata)

    async def _annotate(self, groups: list[Group], now: float) -> None:
        """Write a few annotations, starting after the group that had the last turn."""
        budget, visits = ANNOTATIONS, VISITS
        first = self._next
        for place in range(first, first + len(groups)):
            self._next = (place + 1) % len(groups)
            group = groups[place % len(groups)]
            for pod, text in self._texts(group):
                visits -= 1
                last = self._written.get(pod.uid)
                quiet = last is not None and last[1] == group.slots.cap
                if pod.waiting == text or (text and pod.waiting and quiet):
                    continue
                if not budget:
                    return
                budget -= 1
                self._written[pod.uid] = (now, group.slots.cap)
                await self._write(pod, text)
            if visits <= 0:
                return

    def _texts(self, group: Group) -> list[tuple[Pod, str]]:
        # A release removes the annotation, unless that was written at the same moment.
        over = [(pod, "") for pod in group.slots.users() if pod.waiting and not pod.gated]
        why = self._held(group)
        lines = ((pod, why) for pod in group.slots.line()) if why else waiting.lines(group.slots)
        return [*over, *islice(lines, PODS)]

    async def _write(self, pod: Pod, text: str) -> None:
        path = path_of("", "v1", "pods", pod.namespace, pod.name)
        annotations = {WAITING_ANNOTATION: text or None}
        try:
            await self._writer.merge(path, {"metadata": {"uid": pod.uid, "annotations": annotations}})
        except REQUEST_ERRORS as error:
            # The next round tries again.
            logger.info("pod %s/%s: %s", pod.namespace, pod.name, error_text(error))
