"""What programs in the pods of executions say of their end, as long as the execution is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.engines.programs import ProgramOutcome, worse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.controller.cache.objects import PodObject
    from execution_options.controller.cache.tracker import Tracker
    from execution_options.kube.store import Store


class Programs:
    """Reads it from the pods that are followed anyway; of pods that go before their execution it is kept.

    Args:
        pods: of all executions.
        tracker: says which pods an execution controls.
        counts: whether what the pods of an execution with a UID say counts.
    """

    def __init__(self, pods: Store[PodObject], tracker: Tracker, counts: Callable[[str], bool]) -> None:
        self._pods = pods
        self._tracker = tracker
        self._counts = counts
        self._departed: dict[str, ProgramOutcome | None] = {}
        """By the UID of executions, of those whose pods have succeeded and gone."""

    def pod_gone(self, pod: PodObject) -> None:
        """A pod is not there any more."""
        owner = pod.metadata.controller
        if owner is not None and pod.succeeded and self._counts(owner.uid):
            self._departed[owner.uid] = worse(self._departed.get(owner.uid), pod.program)

    def forget(self, uid: str) -> None:
        """An execution is not there any more."""
        self._departed.pop(uid, None)

    def of(self, uid: str) -> ProgramOutcome | None:
        """What the succeeded pods of an execution with a UID say; ``None`` where they say nothing."""
        said = self._departed.get(uid)
        for pod in self._living(uid):
            if pod.succeeded:
                said = worse(said, pod.program)
        return said

    def are_complete(self, uid: str) -> bool:
        """Whether a pod of the execution has succeeded and none is under way, as far as pods are known."""
        pods = list(self._living(uid))
        return all(pod.finished for pod in pods) and (uid in self._departed or any(pod.succeeded for pod in pods))

    def _living(self, uid: str) -> Iterator[PodObject]:
        for key in self._tracker.controlled(uid):
            pod = self._pods.items.get(key)
            if pod is not None:
                yield pod
