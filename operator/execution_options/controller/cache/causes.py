"""Why executions fail, as their pods show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from execution_options.controller.cache.objects import PodObject
from execution_options.engines.failures import Failure
from execution_options.notifications.cause import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.api.keys import ExecutionKey
    from execution_options.controller.cache.objects import ExecutionObject
    from execution_options.controller.cache.tracker import Tracker
    from execution_options.kube.store import Store


class _Departed(Struct):
    """The pods of an execution that are gone: how many, and why the first failed."""

    pods: int = 0
    failed: int = 0
    first: Failure | None = None


class Causes:
    """Reads the causes from the known pods, and keeps those of pods that go before their execution.

    Args:
        pods: the pods of all executions.
        tracker: knows which pods an execution has.
    """

    def __init__(self, pods: Store[PodObject], tracker: Tracker) -> None:
        self._pods = pods
        self._tracker = tracker
        self._departed: dict[str, _Departed] = {}
        """uid of an execution → its pods that are gone."""
        self._since: dict[str, str] = {}
        """uid of an execution that runs again → since when (RFC 3339); earlier failures are of another end."""

    def pod_gone(self, pod: PodObject) -> None:
        """A pod no longer exists."""
        key = self._tracker.of_pod(pod.metadata)
        record = None if key is None else self._tracker.records.get(key)
        if record is None or not record.stamped:
            return
        departed = self._departed.setdefault(record.uid, _Departed())
        departed.pods += 1
        if pod.failure is not None:
            departed.failed += pod.failure.ended
            departed.first = _first(departed.first, structs.replace(pod.failure, logs=""))

    def restarted(self, uid: str) -> None:
        """An execution that had ended runs again."""
        self._departed.pop(uid, None)
        self._since[uid] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def forget(self, uid: str) -> None:
        """An execution no longer exists."""
        self._departed.pop(uid, None)
        self._since.pop(uid, None)

    def of(self, key: ExecutionKey, item: ExecutionObject) -> Cause | None:
        """The first failure of an execution's pods; ``None`` if none is known.

        Args:
            key: the execution.
            item: its last state; a bare pod is its own only pod.
        """
        departed, since = self._departed.get(item.metadata.uid) or _Departed(), self._since.get(item.metadata.uid, "")
        pods = [item] if isinstance(item, PodObject) else list(self._known(key))
        failures = [pod.failure for pod in pods if pod.failure is not None and not "" < pod.failure.at < since]
        first = departed.first
        for failure in failures:
            first = _first(first, failure)
        if first is None:
            return None
        return Cause(
            pod=first.pod,
            container=first.container,
            reason=first.reason,
            exit_code=first.exit_code,
            message=first.message,
            failed=departed.failed + sum(one.ended for one in failures),
            pods=departed.pods + len(pods),
            logs=first.logs,
        )

    def may_follow(self, key: ExecutionKey) -> bool:
        """Whether a failure of the execution's pods may still be reported: none is known, and some have not ended."""
        known = list(self._known(key))
        return not any(pod.failure is not None for pod in known) and any(not pod.finished for pod in known)

    def _known(self, key: ExecutionKey) -> Iterable[PodObject]:
        for at in self._tracker.pods(key):
            pod = self._pods.items.get(at)
            if pod is not None and self._tracker.of_pod(pod.metadata) == key:
                yield pod


def _first(one: Failure | None, other: Failure) -> Failure:
    return other if one is None else min(one, other, key=lambda failure: failure.place)
