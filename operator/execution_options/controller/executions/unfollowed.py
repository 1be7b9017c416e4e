"""Edits of options that cannot be written to a living execution or a pod of it: what the options' status says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.status.conditions import Aspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import ExecutionKey, Key, OptionsKey
    from execution_options.controller.cache import Known, OptionsIndex, World

CONDITION: Final = "EditsFollowed"
"""Of options: absent until an edit is refused."""
_ITSELF: Final = ("", "")
"""Stands for the execution among its pods."""


class Unfollowed:
    """Remembers what an edit did not reach.

    Args:
        world: executions, and the options of each.
        index: the options.
        changed: is told of options whose condition changes.
    """

    def __init__(self, world: World, index: OptionsIndex, changed: Callable[[OptionsKey], None]) -> None:
        self._world = world
        self._index = index
        self._changed = changed
        self._why: dict[ExecutionKey, dict[Key, str]] = {}
        self._pods: dict[Key, ExecutionKey] = {}
        self._tried: set[ExecutionKey] = set()
        """Of all others this process does not know yet whether they follow."""

    def refused(self, key: ExecutionKey, why: str, pod: Key | None = None) -> None:
        """An execution, or a pod of it, stays as it is."""
        self._tried.add(key)
        known = self._why.setdefault(key, {})
        if known.get(pod or _ITSELF) == why:
            return
        known[pod or _ITSELF] = why
        if pod is not None:
            self._pods[pod] = key
        self._tell(key)

    def followed(self, key: ExecutionKey) -> None:
        """An execution is as its options say."""
        self._settled(key, _ITSELF)

    def pod_followed(self, pod: Key) -> None:
        """A pod is as its options say, or nothing can reach it any more."""
        key = self._pods.pop(pod, None)
        if key is not None:
            self._settled(key, pod)

    def forget(self, key: ExecutionKey) -> None:
        """An execution is gone, or has ended: nothing is to reach it any more."""
        self._tried.discard(key)
        for pod in self._why.pop(key, {}):
            self._pods.pop(pod, None)

    def aspects(self, known: Known) -> list[Aspect]:
        """What the status of options has to say; nothing where it stays as it is."""
        records = self._world.tracker.records
        # Few are refused, where many follow.
        concerned = ((key, records.get(key)) for key in self._why)
        refused = sorted(key for key, one in concerned if one is not None and one.active and known.uid in one.sources)
        if refused:
            return [Aspect(CONDITION, "False", "EditsRefused", self._message(refused))]
        if not _is_said(known):
            return []
        if any(one.active and key not in self._tried for key, one in self._world.tracker.of_source(known.uid)):
            return []
        return [Aspect(CONDITION, "True", "Followed", "")]

    def _message(self, refused: list[ExecutionKey]) -> str:
        key = refused[0]
        first = f"{self._world.engines[key.engine].kind} {key.namespace}/{key.name}"
        why = next(iter(self._why[key].values()))
        if len(refused) == 1:
            return f"edits do not reach 1 execution: {first}: {why}"
        return f"edits do not reach {len(refused)} executions, among them {first}: {why}"

    def _settled(self, key: ExecutionKey, at: Key) -> None:
        whys = self._why.get(key, {})
        was_refused = whys.pop(at, None) is not None
        if not whys:
            self._why.pop(key, None)
        is_first = key not in self._tried
        self._tried.add(key)
        if was_refused or is_first:
            self._tell(key, only_said=not was_refused)

    def _tell(self, key: ExecutionKey, *, only_said: bool = False) -> None:
        record = self._world.tracker.records.get(key)
        for uid in () if record is None else record.sources:
            options = self._index.key_of(uid)
            known = None if options is None else self._index.get(options)
            if options is not None and known is not None and (not only_said or _is_said(known)):
                self._changed(options)


def _is_said(known: Known) -> bool:
    """Another process may have said it before."""
    return any(one.get("type") == CONDITION for one in known.status.get("conditions") or ())
