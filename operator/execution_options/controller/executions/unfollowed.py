"""Executions and pods that an edit of options could not reach, for the status of the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.status.conditions import Aspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import ExecutionKey, Key, OptionsKey
    from execution_options.controller.cache import Known, OptionsIndex, World

CONDITION: Final = "EditsFollowed"
"""Condition of options; absent until an edit is refused."""
ENFORCED: Final = "Enforced"
"""Condition of options; absent until a pod does not agree with what they enforce."""
_ITSELF: Final = ("", "")
"""Key of the execution itself among its pods."""


class Unfollowed:
    """Remembers what an edit did not reach.

    Args:
        world: executions, and the options of each.
        changed: called with options whose condition changes.
    """

    condition = CONDITION

    def __init__(self, world: World, index: OptionsIndex, changed: Callable[[OptionsKey], None]) -> None:
        self._world = world
        self._index = index
        self._changed = changed
        self._why: dict[ExecutionKey, dict[Key, str]] = {}
        self._pods: dict[Key, ExecutionKey] = {}
        self._tried: set[ExecutionKey] = set()
        """Executions that this process has tried to bring up to date."""

    def refused(self, key: ExecutionKey, why: str, pod: Key | None = None) -> None:
        """An edit did not reach an execution, or a pod of it."""
        self._tried.add(key)
        known = self._why.setdefault(key, {})
        if known.get(pod or _ITSELF) == why:
            return
        known[pod or _ITSELF] = why
        if pod is not None:
            self._pods[pod] = key
        self._report(key)

    def followed(self, key: ExecutionKey) -> None:
        """An execution is up to date."""
        self._resolve(key, _ITSELF)

    def pod_followed(self, pod: Key) -> None:
        """A pod is up to date, or has ended."""
        key = self._pods.pop(pod, None)
        if key is not None:
            self._resolve(key, pod)

    def forget(self, key: ExecutionKey) -> None:
        """An execution is gone or has ended."""
        self._tried.discard(key)
        for pod in self._why.pop(key, {}):
            self._pods.pop(pod, None)

    def aspects(self, known: Known) -> list[Aspect]:
        """The condition of options; empty if it stays as it is."""
        records = self._world.tracker.records
        # This goes through the refused executions, which are few, rather than through all of the options' executions.
        concerned = ((key, records.get(key)) for key in self._why)
        refused = sorted(key for key, one in concerned if one is not None and one.active and known.uid in one.sources)
        if refused:
            return [self._refused(self._message(refused))]
        if not self._is_reported(known):
            return []
        if any(one.active and key not in self._tried for key, one in self._world.tracker.of_source(known.uid)):
            return []
        return [self._followed()]

    def _refused(self, message: str) -> Aspect:
        return Aspect(CONDITION, "False", "EditsRefused", f"edits do not reach {message}")

    def _followed(self) -> Aspect:
        return Aspect(CONDITION, "True", "Followed", "")

    def _message(self, refused: list[ExecutionKey]) -> str:
        key = refused[0]
        first = f"{self._world.engines[key.engine].kind} {key.namespace}/{key.name}"
        why = next(iter(self._why[key].values()))
        if len(refused) == 1:
            return f"1 execution: {first}: {why}"
        return f"{len(refused)} executions, among them {first}: {why}"

    def _resolve(self, key: ExecutionKey, at: Key) -> None:
        whys = self._why.get(key, {})
        was_refused = whys.pop(at, None) is not None
        if not whys:
            self._why.pop(key, None)
        is_first = key not in self._tried
        self._tried.add(key)
        if was_refused or is_first:
            self._report(key, only_reported=not was_refused)

    def _report(self, key: ExecutionKey, *, only_reported: bool = False) -> None:
        record = self._world.tracker.records.get(key)
        for uid in () if record is None else record.sources:
            known = self._index.of_uid(uid)
            if known is not None and (not only_reported or self._is_reported(known)):
                self._changed(known.key)

    def _is_reported(self, known: Known) -> bool:
        """Whether the condition was reported before, perhaps by another process."""
        return any(one.get("type") == self.condition for one in known.status.get("conditions") or ())


class Unenforced(Unfollowed):
    """Remembers pods that do not agree with what options enforce and cannot be corrected."""

    condition = ENFORCED

    def _refused(self, message: str) -> Aspect:
        return Aspect(ENFORCED, "False", "PodsDiffer", f"what is enforced does not hold for {message}")

    def _followed(self) -> Aspect:
        return Aspect(ENFORCED, "True", "PodsAgree", "")
