"""The caps of groups, from declared limits and the current options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.keys import OptionsKey
from execution_options.api.names import CLUSTER_OPTIONS_KIND, LIVE_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.multimap import Members
from execution_options.parallelism.caps import effective, recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.parallelism.caps import Cap, DeclaredLimit
    from execution_options.parallelism.groups import Group, Listener
    from execution_options.parallelism.sources import Options


class Limits:
    """Keeps the caps of all groups.

    Args:
        index: the current options.
        listener: is called when options must be verified.
    """

    def __init__(self, index: Options, listener: Listener) -> None:
        self._index = index
        self._listener = listener
        self._limited: Members[str, Group] = Members()
        """Groups by the uid of options that declare a limit for them."""
        self._gone: set[str] = set()
        """uids of deleted options that still declare a limit for a group."""

    def cap_of(self, declared: tuple[DeclaredLimit, ...], namespace: str) -> Cap | None:
        """The cap that follows from declared limits and the current options.

        Args:
            declared: the declared limits.
            namespace: namespace of the execution.
        """
        return effective(declared, self._index.find(namespace), lambda one: one.uid in self._gone)

    def join(self, group: Group, declared: tuple[DeclaredLimit, ...]) -> None:
        """Handle that a bare pod was added to a group.

        Args:
            group: the group.
            declared: the declared limits of the pod.
        """
        group.declared[declared] += 1
        if group.declared[declared] == 1:
            self._listen(group, declared)
            self.recap(group)

    def leave(self, group: Group, declared: tuple[DeclaredLimit, ...]) -> None:
        """Handle that a bare pod left a group.

        Args:
            group: the group.
            declared: the declared limits of the pod.
        """
        group.declared[declared] -= 1
        if not group.declared[declared]:
            self._forget(group, declared)
            if group.declared:
                self.recap(group)

    def read(self, group: Group, annotations: Mapping[str, str]) -> None:
        """Read the declared limits of an execution.

        Args:
            group: the group of the execution.
            annotations: annotations of the execution.
        """
        before = list(group.declared)
        declared = recorded(annotations.get(SNAPSHOT_ANNOTATION), annotations.get(LIVE_ANNOTATION))
        if before != [declared]:
            group.declared[declared] = 1
            self._listen(group, declared)
            for other in before:
                self._forget(group, other)
        self.recap(group)

    def forget(self, group: Group) -> None:
        """Handle that a group is gone."""
        for declared in list(group.declared):
            self._forget(group, declared)

    def edited(self, uid: str, *, gone: bool) -> list[Group]:
        """Handle that options were edited or deleted.

        Args:
            uid: uid of the options.
            gone: whether they are deleted.

        Returns:
            The groups whose caps were computed again.
        """
        affected = list(self._limited.of(uid))
        if gone and affected:
            self._gone.add(uid)
        for group in affected:
            self.recap(group)
        return affected

    def recap(self, group: Group) -> None:
        """Compute the cap again. The caller notifies the listener."""
        caps = [self.cap_of(declared, group.key.namespace) for declared in group.declared]
        # Bare pods of one group may have different options: the lowest cap surprises nobody. Equal caps are ordered by
        # uid, so that the result does not depend on the order of events.
        group.cap = min((cap for cap in caps if cap is not None), key=lambda cap: (cap.value, cap.uid), default=None)
        group.slots.cap = None if group.cap is None else group.cap.value
        self._verify_options(group)

    def numbers(self, uid: str) -> tuple[int, int]:
        """Numbers of running and of waiting pods to which the cap of an options object (by uid) applies."""
        mine = [g.slots for g in self._limited.of(uid) if g.cap is not None and g.cap.uid == uid]
        return sum(slots.used for slots in mine), sum(slots.waiting for slots in mine)

    def _verify_options(self, group: Group) -> None:
        """Report options that limit a group but are not in the index, so that their existence is verified."""
        namespace = group.key.namespace
        for one in {one for declared in group.declared for one in declared if one.uid and one.uid not in self._gone}:
            key = OptionsKey(one.kind, "" if one.kind == CLUSTER_OPTIONS_KIND else namespace, one.name)
            known = self._index.get(key)
            if known is None or known.uid != one.uid:
                self._listener.unsure(key, one.uid)

    def _listen(self, group: Group, declared: tuple[DeclaredLimit, ...]) -> None:
        for uid in {one.uid for one in declared if one.uid}:
            self._limited.change(uid, group, add=True)

    def _forget(self, group: Group, declared: tuple[DeclaredLimit, ...]) -> None:
        """Remove declared limits from a group. Options no longer limit it unless they declare another limit for it."""
        del group.declared[declared]
        left = {one.uid for others in group.declared for one in others}
        for uid in {one.uid for one in declared if one.uid} - left:
            self._limited.change(uid, group, add=False)
            if not self._limited.of(uid):
                self._gone.discard(uid)
