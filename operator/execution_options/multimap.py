"""Sets by a key, for finding what belongs together without looking at everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

K = TypeVar("K")
V = TypeVar("V")


class Members(Generic[K, V]):
    """The members of each key; a key without members takes no memory."""

    def __init__(self) -> None:
        self._sets: dict[K, set[V]] = {}

    def change(self, key: K, member: V, *, add: bool) -> None:
        """Add a member, or take it away; neither does harm twice."""
        if add:
            self._sets.setdefault(key, set()).add(member)
            return
        members = self._sets.get(key)
        if members is not None:
            members.discard(member)
            if not members:
                del self._sets[key]

    def of(self, key: K) -> Set[V]:
        """The members of a key, as they are while nothing changes."""
        return self._sets.get(key, frozenset())

    def sets(self) -> Iterator[Set[V]]:
        """The members of every key."""
        return iter(self._sets.values())
