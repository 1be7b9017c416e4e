"""Pods that run without the label: they are found and labelled before anybody is released beside them.

An edit can give a limit to executions that had none when they were created, and so can the repair of one that was
created past the webhook: the pods that they have by then were never marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from execution_options.api.names import CAPPED, GATE, ID_LABEL, LIVE_ANNOTATION, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.objects import ExecutionKey
from execution_options.controller.parallelism.groups import BARE
from execution_options.controller.parallelism.objects import GatedPod, GroupKey
from execution_options.kube.client import METADATA_LIST, ApiError, path_of
from execution_options.kube.meta import ObjectMeta, PartialObject
from execution_options.parallelism.caps import recorded
from execution_options.parallelism.gate import group_of, label_of, role_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from execution_options.controller.parallelism.board import Board
    from execution_options.controller.world import World
    from execution_options.controller.writer import Writer
    from execution_options.kube.client import Kube

AGAIN_SECONDS: Final = 0.1
PAGE: Final = "500"
LIVING: Final = "status.phase!=Succeeded,status.phase!=Failed"
MAX_LABEL: Final = 63
"""Longest value of a label: engines shorten longer names in ways of their own."""

_POD: Final = msgspec.json.Decoder(GatedPod)


class _ListMeta(msgspec.Struct):
    continue_: str = msgspec.field(name="continue", default="")


class _Found(msgspec.Struct):
    metadata: _ListMeta
    items: list[PartialObject] | None = None


class Counting:
    """Labels the pods of one group after the other, and says when all of them are counted.

    Nobody else labels pods that exist, so that none is labelled but not seen yet when a group is said to be counted.

    Args:
        kube: for reading.
        world: executions, and whose a pod is.
        writer: for writing, while the lease holds.
        board: is told; it counts whatever has the label.
    """

    def __init__(self, kube: Kube, world: World, writer: Writer, board: Board) -> None:
        self._kube = kube
        self._world = world
        self._writer = writer
        self._board = board
        self._labelled: dict[str, ObjectMeta] = {}
        """By uid: pods that the board does not know yet."""

    async def count(self, key: GroupKey) -> float | None:
        """Label pods of a group that are not; once none is left, say so.

        All groups of bare pods of a namespace are looked at together: no selector finds a single one.

        Returns:
            After how many seconds to come again, ``None`` where nothing is left to do.
        """
        bare = key.engine == BARE
        groups = [key, *self._board.uncounted(key.namespace)] if bare else [key]
        left = False
        async for pod in self._unlabelled(key):
            if (self._is_capped_alone(pod) if bare else self._is_of(pod, key)) and await self._label(pod):
                left = True
        for uid, pod in list(self._labelled.items()):
            if pod.namespace == key.namespace and (self._board.knows(uid) or await self._has_ended(pod)):
                del self._labelled[uid]
        if left or any(pod.namespace == key.namespace for pod in self._labelled.values()):
            return AGAIN_SECONDS
        for group in groups:
            self._board.counted(group)
        return None

    async def _unlabelled(self, key: GroupKey) -> AsyncIterator[ObjectMeta]:
        """Pods that have not ended, perhaps of others too, read consistently."""
        path, token = path_of("", "v1", "pods", key.namespace), ""
        params = {"labelSelector": f"{self._selector(key)},!{GATE}", "fieldSelector": LIVING, "limit": PAGE}
        while True:
            body = await self._kube.get(
                path, params=params | ({"continue": token} if token else {}), accept=METADATA_LIST
            )
            page = msgspec.json.decode(body, type=_Found)
            for item in page.items or ():
                yield item.metadata
            token = page.metadata.continue_
            if not token:
                return

    def _selector(self, key: GroupKey) -> str:
        if key.engine == BARE:
            return ID_LABEL
        execution, engine = self._world.execution(ExecutionKey(*key)), self._world.engines.get(key.engine)
        if execution is None or engine is None:
            return ID_LABEL
        if MISSED_ANNOTATION in (execution.metadata.annotations or {}) and engine.pods.labels:
            # Its pods are older than its identifier.
            return f"{engine.pods.labels[0]}={key.name}" if len(key.name) <= MAX_LABEL else engine.pods.labels[0]
        return f"{ID_LABEL}={(execution.metadata.labels or {}).get(ID_LABEL, '')}"

    def _is_of(self, pod: ObjectMeta, key: GroupKey) -> bool:
        """Whether a pod belongs to an execution, and works for itself."""
        owner = pod.controller
        if owner is None:
            return False
        found = self._world.tracker.owning(owner.uid, pod.namespace, (pod.labels or {}).get(ID_LABEL, ""))
        document = {"metadata": msgspec.to_builtins(pod)}
        return (
            found == ExecutionKey(*key) and role_of(self._world.engines, (owner.group, owner.kind), document) == "unit"
        )

    def _is_capped_alone(self, pod: ObjectMeta) -> bool:
        """Whether a pod is bare, one of a group, and its own options have a limit now."""
        annotations = pod.annotations or {}
        if pod.controller is not None or not group_of(pod.labels or {}, annotations):
            return False
        said = recorded(annotations.get(SNAPSHOT_ANNOTATION), annotations.get(LIVE_ANNOTATION))
        return self._board.limits.cap_of(said, pod.namespace) is not None

    async def _label(self, pod: ObjectMeta) -> bool:
        """Whether a pod is labelled now, rather than gone."""
        value = label_of(pod.labels or {})
        if value == CAPPED:
            self._labelled[pod.uid] = pod
        path = path_of("", "v1", "pods", pod.namespace, pod.name)
        try:
            await self._writer.merge(path, {"metadata": {"uid": pod.uid, "labels": {GATE: value}}})
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            # Gone, and perhaps replaced by another of the same name, which the next look finds.
            self._labelled.pop(pod.uid, None)
            return error.status == 409
        return True

    async def _has_ended(self, pod: ObjectMeta) -> bool:
        """Whether a pod is no more, or holds no slot any more."""
        try:
            found = _POD.decode(await self._kube.get(path_of("", "v1", "pods", pod.namespace, pod.name)))
        except ApiError as error:
            if error.status == 404:
                return True
            raise
        return found.metadata.uid != pod.uid or found.ended
