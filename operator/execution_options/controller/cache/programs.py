"""The outcomes that programs report in the pods of executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.engines.programs import ProgramOutcome, worse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.controller.cache.objects import PodObject
    from execution_options.controller.cache.tracker import Tracker
    from execution_options.kube.store import Store


class Programs:
    """Reads outcomes from the known pods, and keeps those of pods that go before their execution.

    Args:
        pods: the pods of all executions.
        tracker: knows which pods an execution controls.
        counts: whether the outcomes of the pods of an execution with a uid are used.
    """

    def __init__(self, pods: Store[PodObject], tracker: Tracker, counts: Callable[[str], bool]) -> None:
        self._pods = pods
        self._tracker = tracker
        self._counts = counts
        self._departed: dict[str, ProgramOutcome | None] = {}
        """uid of an execution → outcome of its pods that have succeeded and gone."""

    def pod_gone(self, pod: PodObject) -> None:
        """A pod no longer exists."""
        owner = pod.metadata.controller
        if owner is not None and pod.succeeded and self._counts(owner.uid):
            self._departed[owner.uid] = worse(self._departed.get(owner.uid), pod.program)

    def forget(self, uid: str) -> None:
        """An execution no longer exists."""
        self._departed.pop(uid, None)

    def of(self, uid: str) -> ProgramOutcome | None:
        """The outcome that the succeeded pods of an execution report; ``None`` if they report none."""
        outcome = self._departed.get(uid)
        for pod in self._known(uid):
            if pod.succeeded:
                outcome = worse(outcome, pod.program)
        return outcome

    def are_complete(self, uid: str) -> bool:
        """Whether a pod of the execution has succeeded and all known ones have finished."""
        pods = list(self._known(uid))
        return all(pod.finished for pod in pods) and (uid in self._departed or any(pod.succeeded for pod in pods))

    def _known(self, uid: str) -> Iterator[PodObject]:
        for key in self._tracker.controlled(uid):
            pod = self._pods.items.get(key)
            if pod is not None:
                yield pod
