"""Groups of pods that share a cap, and the listener for their changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from execution_options.parallelism.slots import Slots

if TYPE_CHECKING:
    from execution_options.api.keys import GroupKey, OptionsKey
    from execution_options.parallelism.caps import Cap, DeclaredLimit
    from execution_options.parallelism.pods import GatedPod

BLOCKED: Final = 0
"""The cap of pods whose execution is not known yet: none of them is released."""
BARE: Final = "pod"
"""The engine of bare pods."""


class Listener(Protocol):
    """Receives the events of a board. It may queue work, but must not call the board back from within an event."""

    def changed(self, group: Group) -> None:
        """The slots of a group changed: there may be pods to release, and its numbers may differ."""

    def unknown(self, key: GroupKey) -> None:
        """The execution of new pods is unknown."""

    def unsure(self, key: OptionsKey, uid: str) -> None:
        """Options with a declared limit are not in the index: they may be deleted, or too new.

        Args:
            key: key of the options.
            uid: their uid.
        """

    def to_be_left(self, pod: GatedPod) -> None:
        """A pod has both Kueue's gate and ours, and must be left to Kueue."""

    def left_to_kueue(self, key: GroupKey) -> None:
        """A pod of a group was left to Kueue."""


class Group:
    """Pods that share a cap."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.slots = Slots(BLOCKED)
        self.cap: Cap | None = None
        self.declared: Counter[tuple[DeclaredLimit, ...]] = Counter()
        """Declared limits: one entry for an execution; for a group of bare pods, entries with their numbers of pods."""
