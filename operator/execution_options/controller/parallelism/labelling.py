"""Pods without the label that run: each holds a slot at once, and is labelled then.

Nobody else labels pods that exist, so that each of them has its slot from before the time at which it has the label.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.api import decoding
from execution_options.api.names import GATE
from execution_options.controller.announcements import Announcement
from execution_options.controller.parallelism.groups import BARE
from execution_options.controller.parallelism.objects import GatedPod, running
from execution_options.controller.queue import Queue
from execution_options.kube.client import REFUSED, ApiError, path_of
from execution_options.kube.meta import ObjectMeta
from execution_options.parallelism.gate import label_of
from execution_options.parallelism.waiting import unlabelled_text

if TYPE_CHECKING:
    from execution_options.controller.events import Recorder
    from execution_options.controller.parallelism.board import Board
    from execution_options.controller.world import World
    from execution_options.controller.writer import Writer
    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 15.0
"""Between two looks at a pod that the watch of labelled ones does not tell of."""


class _Held(Struct):
    """A pod that holds its slot because it was read, until the watch of labelled pods tells of it."""

    metadata: ObjectMeta
    pod: GatedPod
    settled: bool = False
    """Whether it has the label, or refuses it."""


class Labelling:
    """Holds slots for pods without the label, and labels them.

    Args:
        kube: for reading.
        world: executions, and their pods.
        writer: for writing, while the lease holds.
        recorder: posts events.
        board: counts.
    """

    def __init__(self, kube: Kube, world: World, writer: Writer, recorder: Recorder, board: Board) -> None:
        self._kube = kube
        self._world = world
        self._writer = writer
        self._recorder = recorder
        self._board = board
        self._held: dict[str, _Held] = {}
        self.queue: Queue[str] = Queue()
        """uids of pods to be labelled, or looked at."""

    def hold(self, pod: ObjectMeta) -> bool:
        """Have a pod without the label count from now on, and labelled soon; whether it did not count before."""
        if pod.uid in self._held or self._board.knows(pod.uid):
            return False
        held = self._held[pod.uid] = _Held(pod, running(pod))
        self._board.pod_changed(None, held.pod)
        self.queue.add(pod.uid)
        return True

    def watched(self, uid: str) -> None:
        """The watch of labelled pods tells of a pod, and will tell of its end."""
        self._held.pop(uid, None)

    async def label(self, uid: str) -> float | None:
        """Label a pod, or see whether it has ended of which the watch says nothing.

        Returns:
            After how many seconds to come again, ``None`` where nothing is left to do.
        """
        held = self._held.get(uid)
        if held is None:
            return None
        if held.settled and self._is_running(held.metadata):
            return LOOK_SECONDS
        found = await (self._read(held) if held.settled else self._label(held))
        if self._held.get(uid) is not held:
            return None
        if found is None or found.ended:
            del self._held[uid]
            self._board.pod_changed(held.pod, None)
            return None
        if found.facts.gated and not held.pod.facts.gated:
            # It was marked at its creation, and lost the label since: it waits like others.
            self._board.pod_changed(held.pod, None)
            held.pod = found
            self._board.pod_changed(None, found)
        return LOOK_SECONDS

    def _is_running(self, pod: ObjectMeta) -> bool:
        """Whether the controller's other watch of pods has it; that may be behind, so that no other answer counts."""
        known = self._world.pods.get(pod.namespace, pod.name)
        return known is not None and known.metadata.uid == pod.uid and not known.finished

    async def _label(self, held: _Held) -> GatedPod | None:
        """Label a pod; what it is now, ``None`` where it is gone."""
        pod = held.metadata
        labels = {GATE: label_of(pod.labels or {})}
        try:
            answer = await self._writer.merge(_path(pod), {"metadata": {"uid": pod.uid, "labels": labels}})
        except ApiError as error:
            found = await self._read(held)
            if found is not None and not found.ended:
                if error.status not in REFUSED or not error.is_certain:
                    raise
                self._say_refused(pod, error)
                held.settled = True
            return found
        held.settled = True
        return decoding.read(answer, GatedPod)

    async def _read(self, held: _Held) -> GatedPod | None:
        try:
            found = decoding.read(await self._kube.get(_path(held.metadata)), GatedPod)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        return found if found.metadata.uid == held.metadata.uid else None

    def _say_refused(self, pod: ObjectMeta, error: ApiError) -> None:
        logger.warning("pod %s/%s cannot be labelled, but counts: %s", pod.namespace, pod.name, error)
        regarding = self._regarding(pod)
        if regarding is not None:
            note = unlabelled_text(pod.name, error.message or error.reason)
            self._recorder.say(*regarding, Announcement("Warning", "LabelRefused", "Count", note))

    def _regarding(self, pod: ObjectMeta) -> tuple[Engine, ObjectMeta] | None:
        """The execution of a pod, which may be itself."""
        if pod.controller is None:
            engine = self._world.engines.get(BARE)
            return None if engine is None else (engine, pod)
        key = self._world.tracker.of_pod(pod)
        execution = None if key is None else self._world.execution(key)
        if key is None or execution is None:
            return None
        return self._world.engines[key.engine], execution.metadata


def _path(pod: ObjectMeta) -> str:
    return path_of("", "v1", "pods", pod.namespace, pod.name)
