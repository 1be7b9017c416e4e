"""Of which namespaces it is certain that no bare pod runs unknown, so that none has to be listed for a new group.

A namespace that was listed has no bare pod that has a limit but neither the label nor a slot, and none comes as long as
the options in its reach stay what they are: with these the webhook marks every pod that has a limit. That leaves pods
that it let pass by the options before: a creation is over a minute after its admission at the latest, so that a list
which begins later shows them all.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.controller.objects import OptionsKey
from execution_options.parallelism.caps import effective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from execution_options.controller.index import OptionsIndex
    from execution_options.parallelism.caps import Said

SETTLE_SECONDS: Final = 60.0
"""How long a creation may take that was admitted by earlier options: the API server ends requests after a minute."""


class Reach(Struct):
    """The options in reach of a namespace, since when they are known to be what they are, and what follows."""

    options: frozenset[tuple[str, int, bool]]
    since: float
    counted: bool = False
    """Whether no bare pod of the namespace runs unknown."""


class Reaches:
    """Remembers that for each namespace; a controller that begins remembers nothing.

    Args:
        index: options as they are now.
        clock: monotonic seconds.
    """

    def __init__(self, index: OptionsIndex, clock: Callable[[], float] = time.monotonic) -> None:
        self._index = index
        self.clock = clock
        self._known: dict[str, Reach] = {}

    def of(self, namespace: str) -> Reach:
        """What is known of a namespace with its options as they are now."""
        keys = {*self._index.in_namespace(""), *self._index.in_namespace(namespace)}
        found = (known for key in keys if (known := self._index.get(key)) is not None)
        options = frozenset((known.uid, known.generation, known.options is None) for known in found)
        reach = self._known.get(namespace)
        if reach is None or reach.options != options:
            reach = self._known[namespace] = Reach(options, self.clock())
        return reach

    def listed(self, namespace: str, reach: Reach, began: float) -> None:
        """All bare pods of a namespace are known that a list showed which began when its reach was this."""
        if began - reach.since >= SETTLE_SECONDS and self.of(namespace) is reach:
            reach.counted = True

    def forget(self, namespace: str) -> None:
        """A bare pod came unmarked all the same: nothing is certain."""
        self._known.pop(namespace, None)

    def behind(self, said: Iterable[Said], namespace: str) -> set[OptionsKey]:
        """Options of which a pod knows a later edit than the index does, so that the limits of others are not known."""
        later = set()
        for one in said:
            key = OptionsKey.of(one.kind, namespace, one.name)
            known = self._index.get(key)
            if known is not None and known.uid == one.uid and known.generation < one.generation:
                later.add(key)
        return later

    def knows(self, said: Iterable[Said]) -> bool:
        """Whether all of these options are known."""
        return all(self._index.key_of(one.uid) is not None for one in said)

    def may_cap(self, said: tuple[Said, ...], namespace: str) -> bool:
        """Whether options limit a pod, be those that are not known so new that nothing was heard of them, or gone."""
        find = self._index.find(namespace)
        ways: tuple[Callable[[Said], bool], ...] = (
            lambda _: False,
            lambda one: self._index.key_of(one.uid) is None,
        )
        return any(effective(said, find, gone) is not None for gone in ways)
