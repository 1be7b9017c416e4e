"""The label of pods that take slots of their execution, where the webhook did not set it or a program removed it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from execution_options.admission.edit import slot_plan
from execution_options.api.meta import PartialObject
from execution_options.api.names import CAPPED, GATE
from execution_options.controller.cache import LIVING
from execution_options.kube.client import METADATA_LIST, REFUSED, ApiError, path_of
from execution_options.kube.listing import listed
from execution_options.parallelism.gate import role_of
from execution_options.parallelism.waiting import unlabelled_text
from execution_options.status.executionevents import unlabelled_note

if TYPE_CHECKING:
    from execution_options.api.engine_pods import PodRole
    from execution_options.api.keys import ExecutionKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache import World
    from execution_options.controller.runtime import Recorder, Shell
    from execution_options.engines.profile import Engine

logger = logging.getLogger(__name__)

MAX_LABEL: Final = 63
"""Longest value of a label; each engine shortens longer names in its own way."""


class SlotLabels:
    """Labels the pods of executions with a limit.

    Args:
        shell: reads and writes.
    """

    def __init__(self, world: World, shell: Shell, recorder: Recorder) -> None:
        self._world = world
        self._shell = shell
        self._recorder = recorder

    def role(self, pod: ObjectMeta) -> PodRole:
        """The role of a pod in its execution."""
        owner = pod.controller
        kind = ("", "") if owner is None else owner.kind_key
        return role_of(self._world.engines, kind, {"metadata": msgspec.to_builtins(pod)})

    async def correct(self, pod: ObjectMeta) -> None:
        """Remove the label from a coordinator, and give it to a unit that was created without it.

        The webhook was down when the coordinator was created, or a program removed the label from the pods that it
        creates (executors of Spark).
        """
        if (pod.labels or {}).get(GATE) not in (None, CAPPED):
            return  # a pod that waits, or was left to Kueue
        is_unit = self._is_unit(pod)
        path = path_of("", "v1", "pods", pod.namespace, pod.name)
        await self._shell.patch(path, pod, "pod", lambda now: slot_plan(now, is_unit=is_unit))

    async def count(self, key: ExecutionKey, engine: Engine, execution: ObjectMeta) -> None:
        """Label the pods of an execution with a limit that was created past the webhook, so that they take slots.

        Args:
            key: key of the execution.
            engine: its engine.
            execution: its metadata.

        Raises:
            ApiError: a pod cannot be read or written; a pod whose label is refused is reported in an Event instead.
        """
        label = next(iter(engine.pods.labels), "")
        selector = f"{label}={execution.name}" if label and len(execution.name) <= MAX_LABEL else label
        params = {"labelSelector": f"{selector},!{GATE}".removeprefix(","), "fieldSelector": LIVING}
        path = path_of("", "v1", "pods", execution.namespace)
        found = listed(self._shell.kube, path, PartialObject, params=params, accept=METADATA_LIST)
        for pod in [item.metadata async for item in found]:
            if self._world.tracker.of_pod(pod) != key or not self._is_unit(pod):
                continue
            try:
                await self.correct(pod)
            except ApiError as error:
                if error.status not in REFUSED or not error.is_certain:
                    raise
                logger.warning("pod %s/%s is not counted: %s", pod.namespace, pod.name, error)
                note = unlabelled_note(unlabelled_text(pod.name, error.message or error.reason))
                self._recorder.post(engine, execution, note)

    def _is_unit(self, pod: ObjectMeta) -> bool:
        """Whether a pod takes a slot: it is neither a coordinator nor part of a gang."""
        return pod.controller is not None and self.role(pod) == "unit"
