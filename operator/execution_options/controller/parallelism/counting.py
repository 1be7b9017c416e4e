"""Finds the pods that run without the label, before anybody is released beside them.

An edit can give a limit to executions that had none when they were created, and so can the repair of one that was
created past the webhook: the pods that they have by then were never marked.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from execution_options.api.names import GATE, ID_LABEL, LIVE_ANNOTATION, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.objects import LIVING, ExecutionKey
from execution_options.controller.parallelism.groups import BARE
from execution_options.controller.parallelism.objects import GroupKey, is_unit
from execution_options.kube.client import METADATA_LIST, path_of
from execution_options.kube.listing import listed
from execution_options.kube.meta import ObjectMeta, PartialObject
from execution_options.parallelism.caps import recorded
from execution_options.parallelism.gate import group_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.controller.objects import ExecutionObject, OptionsKey
    from execution_options.controller.parallelism.board import Board
    from execution_options.controller.parallelism.labelling import Labelling
    from execution_options.controller.parallelism.latecomers import Latecomers
    from execution_options.controller.parallelism.reach import Reaches
    from execution_options.controller.world import World
    from execution_options.kube.client import Kube

MAX_LABEL: Final = 63
"""Longest value of a label: engines shorten longer names in ways of their own."""
FIRST_PAUSE: Final = 0.1
"""Until options are looked at again of which the index is behind; doubled each time."""
LONGEST_PAUSE: Final = 30.0


class Counting:
    """Lists the pods of one group after the other, and says when all of them are counted.

    Args:
        kube: for reading.
        world: executions, and whose a pod is.
        board: is told when all pods of a group are known.
        labelling: has pods without the label count.
        reaches: of which namespaces all bare pods are known.
        latecomers: follows pods that nothing else tells of.
        hint: is told of options that were edited since they were read.
    """

    def __init__(
        self,
        kube: Kube,
        world: World,
        board: Board,
        labelling: Labelling,
        reaches: Reaches,
        latecomers: Latecomers,
        hint: Callable[[OptionsKey], None],
    ) -> None:
        self._kube = kube
        self._world = world
        self._board = board
        self._labelling = labelling
        self._reaches = reaches
        self._latecomers = latecomers
        self._hint = hint
        self._behind: Counter[str] = Counter()

    def unlabelled(self, pod: ObjectMeta) -> None:
        """A pod runs that should have the label and has not, as an object of its own says."""
        if self._labelling.hold(pod) and pod.controller is None:
            self._reaches.forget(pod.namespace)

    async def count(self, key: GroupKey) -> float | None:
        """Find the pods of a group that are not labelled, and have them count; then say that all are counted.

        All groups of bare pods of a namespace are looked at together: no selector finds a single one.

        Returns:
            After how many seconds to come again, ``None`` where nothing is left to do.
        """
        if key.engine == BARE:
            return await self._count_bare(key.namespace)
        await self._count_execution(key)
        return None

    async def _count_execution(self, key: GroupKey) -> None:
        execution = self._world.execution(ExecutionKey(*key))
        if execution is not None and _is_missed(execution):
            self._latecomers.follow(self._world.engines[key.engine], key.namespace)
        before = self._board.generation(key)
        found = [pod for pod in await self._unlabelled(key.namespace, self._selector(key)) if self._is_of(pod, key)]
        seen = self._board.generation(key) == before
        for pod in found:
            self._labelling.hold(pod)
        # The first pod that was held may have made the group.
        generation = self._board.generation(key) if before is None else before
        if seen and generation is not None:
            self._board.counted(key, generation)

    async def _count_bare(self, namespace: str) -> float | None:
        before, reach = self._uncounted(namespace), self._reaches.of(namespace)
        if reach.counted and all(self._reaches.knows(self._board.said(key)) for key in before):
            for key, generation in before.items():
                self._board.counted(key, generation)
        elif before:
            began = self._reaches.clock()
            found = [pod for pod in await self._unlabelled(namespace, ID_LABEL) if self._may_count(pod)]
            came = self._board.uncounted(namespace)
            for pod in found:
                self._labelling.hold(pod)
            # Pods that came while others of these options held are not among those that were found.
            if self._reaches.of(namespace) is reach:
                for key, generation in self._board.uncounted(namespace).items():
                    # Of groups that came meanwhile the list need not have shown all; those that it made are complete.
                    if key not in came or before.get(key) == generation:
                        self._board.counted(key, generation)
            self._reaches.listed(namespace, reach, began)
        return self._again(namespace)

    def _uncounted(self, namespace: str) -> dict[GroupKey, int]:
        """Groups of bare pods that can be counted now.

        Not those of which a pod knows a later edit than the index: what that does to other pods is not known yet.
        """
        uncounted = self._board.uncounted(namespace)
        behind = {key: self._reaches.behind(self._board.said(key), namespace) for key in uncounted}
        for options in set().union(*behind.values()):
            self._hint(options)
        return {key: generation for key, generation in uncounted.items() if not behind[key]}

    def _again(self, namespace: str) -> float | None:
        if not self._board.uncounted(namespace):
            del self._behind[namespace]
            return None
        self._behind[namespace] += 1
        return min(FIRST_PAUSE * 2.0 ** min(self._behind[namespace] - 1, 16), LONGEST_PAUSE)

    async def _unlabelled(self, namespace: str, selector: str) -> list[ObjectMeta]:
        """Pods that have not ended, perhaps of others too, read consistently."""
        params = {"labelSelector": f"{selector},!{GATE}".removeprefix(","), "fieldSelector": LIVING}
        path = path_of("", "v1", "pods", namespace)
        found = listed(self._kube, path, PartialObject, params=params, accept=METADATA_LIST)
        return [item.metadata async for item in found]

    def _selector(self, key: GroupKey) -> str:
        execution, engine = self._world.execution(ExecutionKey(*key)), self._world.engines.get(key.engine)
        if execution is None or engine is None:
            return ID_LABEL
        if _is_missed(execution):
            # Its pods are older than its identifier.
            label = next(iter(engine.pods.labels), "")
            return f"{label}={key.name}" if label and len(key.name) <= MAX_LABEL else label
        return f"{ID_LABEL}={(execution.metadata.labels or {}).get(ID_LABEL, '')}"

    def _is_of(self, pod: ObjectMeta, key: GroupKey) -> bool:
        """Whether a pod belongs to an execution, and works for itself."""
        return self._world.tracker.of_pod(pod) == ExecutionKey(*key) and is_unit(self._world.engines, pod)

    def _may_count(self, pod: ObjectMeta) -> bool:
        """Whether a pod is bare, one of a group, and its own options may have a limit now."""
        annotations = pod.annotations or {}
        if pod.controller is not None or not group_of(pod.labels or {}, annotations):
            return False
        said = recorded(annotations.get(SNAPSHOT_ANNOTATION), annotations.get(LIVE_ANNOTATION))
        return self._reaches.may_cap(said, pod.namespace)


def _is_missed(execution: ExecutionObject) -> bool:
    return MISSED_ANNOTATION in (execution.metadata.annotations or {})
