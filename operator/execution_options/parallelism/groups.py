"""Groups of pods that share a cap, and who is told what follows from them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from execution_options.parallelism.slots import Slots

if TYPE_CHECKING:
    from execution_options.api.keys import GroupKey, OptionsKey
    from execution_options.parallelism.caps import Cap, Said
    from execution_options.parallelism.pods import GatedPod

BLOCKED: Final = 0
"""The cap of pods of which it is not known yet whose they are: none of them is released."""
BARE: Final = "pod"
"""The engine of bare pods."""


class Listener(Protocol):
    """Is told what to do. It may note what it is told, and must not call back at once."""

    def changed(self, group: Group) -> None:
        """The slots of a group have changed: pods may be released, wait, or be gone, and the numbers are others."""

    def unknown(self, key: GroupKey) -> None:
        """It is not known whose the pods are that came."""

    def unsure(self, key: OptionsKey, uid: str) -> None:
        """Options are not known that may be deleted, or so new that nothing was heard of them."""

    def to_be_left(self, pod: GatedPod) -> None:
        """Kueue has a pod that has our gate, too."""

    def left_to_kueue(self, key: GroupKey) -> None:
        """A pod of a group is left to Kueue."""


class Group:
    """Pods that share a cap."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.slots = Slots(BLOCKED)
        self.cap: Cap | None = None
        self.said: Counter[tuple[Said, ...]] = Counter()
        """What options said of it: of an execution once, of a group of bare pods as often as it has pods."""
