"""The caps of groups: what options said of them, what these say now, and what follows for their slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.keys import OptionsKey
from execution_options.api.names import CLUSTER_OPTIONS_KIND, LIVE_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.multimap import Members
from execution_options.parallelism.caps import effective, recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.parallelism.caps import Cap, Said
    from execution_options.parallelism.groups import Group, Listener
    from execution_options.parallelism.sources import Options


class Limits:
    """Keeps the caps of all groups.

    Args:
        index: options as they are now.
        listener: is told what follows.
    """

    def __init__(self, index: Options, listener: Listener) -> None:
        self._index = index
        self._listener = listener
        self._limited: Members[str, Group] = Members()
        """Groups by the uid of options that have a say in them."""
        self._gone: set[str] = set()
        """uids of options that are known to be deleted, and still have a say."""

    def cap_of(self, said: tuple[Said, ...], namespace: str) -> Cap | None:
        """The cap that follows from what options said, as they are now."""
        return effective(said, self._index.find(namespace), lambda one: one.uid in self._gone)

    def join(self, group: Group, said: tuple[Said, ...]) -> None:
        """A bare pod came to a group, of which options said this."""
        group.said[said] += 1
        if group.said[said] == 1:
            self._listen(group, said)
            self.recap(group)

    def leave(self, group: Group, said: tuple[Said, ...]) -> None:
        """A bare pod left a group, of which options had said this."""
        group.said[said] -= 1
        if not group.said[said]:
            self._forget(group, said)
            if group.said:
                self.recap(group)

    def read(self, group: Group, annotations: Mapping[str, str]) -> None:
        """Read in an execution's annotations what options said of it."""
        before = list(group.said)
        said = recorded(annotations.get(SNAPSHOT_ANNOTATION), annotations.get(LIVE_ANNOTATION))
        if before != [said]:
            group.said[said] = 1
            self._listen(group, said)
            for other in before:
                self._forget(group, other)
        self.recap(group)

    def forget(self, group: Group) -> None:
        """A group is no more."""
        for said in list(group.said):
            self._forget(group, said)

    def edited(self, uid: str, *, gone: bool) -> list[Group]:
        """Options were edited, or are deleted; the groups whose caps were found anew."""
        concerned = list(self._limited.of(uid))
        if gone and concerned:
            self._gone.add(uid)
        for group in concerned:
            self.recap(group)
        return concerned

    def recap(self, group: Group) -> None:
        """Find out what the cap is now; whoever calls has the group looked at."""
        caps = [self.cap_of(said, group.key.namespace) for said in group.said]
        # Bare pods of one group may have been given different options: the least of their caps is nobody's surprise.
        # Of equal ones the same, in whatever order they came.
        group.cap = min((cap for cap in caps if cap is not None), key=lambda cap: (cap.value, cap.uid), default=None)
        group.slots.cap = None if group.cap is None else group.cap.value
        self._find_out(group)

    def numbers(self, uid: str) -> tuple[int, int]:
        """How many pods run, and how many wait, to which the cap of an options object applies."""
        mine = [g.slots for g in self._limited.of(uid) if g.cap is not None and g.cap.uid == uid]
        return sum(slots.used for slots in mine), sum(slots.waiting for slots in mine)

    def _find_out(self, group: Group) -> None:
        """Have it found out whether options exist that limit a group, as far as that is not known."""
        namespace = group.key.namespace
        for one in {one for said in group.said for one in said if one.uid not in self._gone}:
            key = OptionsKey(one.kind, "" if one.kind == CLUSTER_OPTIONS_KIND else namespace, one.name)
            known = self._index.get(key)
            if known is None or known.uid != one.uid:
                self._listener.unsure(key, one.uid)

    def _listen(self, group: Group, said: tuple[Said, ...]) -> None:
        for one in said:
            self._limited.change(one.uid, group, add=True)

    def _forget(self, group: Group, said: tuple[Said, ...]) -> None:
        """Options have no say in a group any more, unless by something else that they said."""
        del group.said[said]
        left = {one.uid for others in group.said for one in others}
        for uid in {one.uid for one in said} - left:
            self._limited.change(uid, group, add=False)
            if not self._limited.of(uid):
                self._gone.discard(uid)
