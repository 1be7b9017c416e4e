"""Groups of pods that share a cap, and who is told what follows from them."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

from execution_options.parallelism.slots import Slots

if TYPE_CHECKING:
    from execution_options.controller.objects import OptionsKey
    from execution_options.controller.parallelism.objects import GatedPod, GroupKey
    from execution_options.parallelism.caps import Cap, Said

BLOCKED: Final = 0
"""The cap of pods of which it is not known yet whose they are, or beside whom: none of them is released."""
BARE: Final = "pod"
"""The engine of bare pods."""


_GENERATIONS: Final = count(1)


class Listener(Protocol):
    """Is told what to do."""

    def releasable(self, key: GroupKey) -> None:
        """Pods of a group can be released."""

    def waiting(self, key: GroupKey) -> None:
        """Pods of a group wait, and none of them can be released."""

    def unknown(self, key: GroupKey) -> None:
        """It is not known whose the pods are that came."""

    def uncounted(self, key: GroupKey) -> None:
        """Pods of a group may run without the label: none is released before they are counted."""

    def unsure(self, key: OptionsKey, uid: str) -> None:
        """Options are not known that may be deleted, or so new that nothing was heard of them."""

    def settled(self, key: GroupKey) -> None:
        """No pod of a group waits, or none is left."""

    def to_be_left(self, pod: GatedPod) -> None:
        """Kueue has a pod that has our gate, too."""

    def left_to_kueue(self, key: GroupKey) -> None:
        """A pod of a group is left to Kueue."""

    def counted(self, uid: str) -> None:
        """The numbers of pods have changed that options limit."""


class Group:
    """Pods that share a cap."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.slots = Slots(BLOCKED)
        self.cap: Cap | None = None
        self.counted = False
        """Whether all of its pods that run are known, though they may have been created without the label."""
        self.generation = next(_GENERATIONS)
        """Another one whenever it becomes uncounted."""
        self.said: Counter[tuple[Said, ...]] = Counter()
        """What options said of it: of an execution once, of a group of bare pods as often as it has pods."""

    def uncount(self) -> None:
        """What was found out until now says nothing of who runs from now on."""
        self.counted, self.generation = False, next(_GENERATIONS)
