"""Assigns pods to the groups that share a cap. Sends no requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.keys import ExecutionKey, GroupKey
from execution_options.api.names import SNAPSHOT_ANNOTATION
from execution_options.multimap import Members
from execution_options.parallelism.groups import BARE, Group
from execution_options.parallelism.limits import Limits

if TYPE_CHECKING:
    from execution_options.parallelism.caps import DeclaredLimit
    from execution_options.parallelism.groups import Listener
    from execution_options.parallelism.pods import GatedPod
    from execution_options.parallelism.slots import Slots
    from execution_options.parallelism.sources import Execution, Executions, Options


class Board:
    """All groups.

    Args:
        world: executions, and the owners of pods.
        index: the current options.
        listener: is called when groups change.
    """

    def __init__(self, world: Executions, index: Options, listener: Listener) -> None:
        self._world = world
        self._listener = listener
        self.limits = Limits(index, listener)
        self.groups: dict[GroupKey, Group] = {}
        self._pods: dict[str, GatedPod] = {}
        """Pods by uid."""
        self._group_of: dict[str, Group] = {}
        """Groups by uid of a pod."""
        self._declared_of: dict[str, tuple[DeclaredLimit, ...]] = {}
        """Declared limits of bare pods, by uid."""
        self._by_owner: Members[str, str] = Members()

    def pod_changed(self, old: GatedPod | None, new: GatedPod | None) -> None:
        """Handle the event of a store that a pod was added, changed or deleted.

        Args:
            old: the pod before; ``None`` if it is new.
            new: the pod now; ``None`` if it is gone.
        """
        if old is not None and (new is None or new.facts.uid != old.facts.uid):
            self._forget(old.facts.uid)
        if new is None:
            return
        uid = new.facts.uid
        if new.ended:
            self._forget(uid)
            return
        if new.kueue:
            self._forget(uid)
            if old is None or not old.kueue:
                self._listener.left_to_kueue(self._key_of(new))
            return
        if new.gates:
            # It was never in a group: gates cannot be added to an existing pod.
            self._listener.to_be_left(new)
            return
        known = self._pods.get(uid)
        if known is not None and known.owner != new.owner:
            self._by_owner.change(known.owner, uid, add=False)
        if new.owner:
            self._by_owner.change(new.owner, uid, add=True)
        self._pods[uid] = new
        self._put(new)

    def execution_changed(self, key: ExecutionKey, uid: str, identifier: str) -> None:
        """Handle the event that an execution was added or deleted, or that its options changed.

        Args:
            key: key of the execution.
            uid: its uid.
            identifier: its label ``execution.dev/id``.
        """
        if key.engine == BARE:
            return  # a bare pod is its own execution
        groups = [self._reassign(uid, key.namespace, identifier)]
        group = self.groups.get(GroupKey(*key))
        if group is not None:
            groups.append({self._put(self._pods[pod.uid]) for pod in list(group.slots.pods())})
        for changed in set().union(*groups):
            if changed.key.engine not in ("", BARE):
                self._read(changed)

    def part_changed(self, uid: str, namespace: str, identifier: str) -> None:
        """Handle the event that a part of an execution was added or deleted.

        Args:
            uid: uid of the part.
            namespace: its namespace.
            identifier: its label ``execution.dev/id``.
        """
        self._reassign(uid, namespace, identifier)

    def _reassign(self, owner: str, namespace: str, identifier: str) -> set[Group]:
        """Assign again the pods of an object, and those whose execution was unknown. Returns their groups."""
        unknown = self.groups.get(GroupKey("", namespace, identifier))
        waiting = () if unknown is None else (pod.uid for pod in unknown.slots.pods())
        return {self._put(self._pods[uid]) for uid in {*self._by_owner.of(owner), *waiting}}

    def options_changed(self, uid: str, *, gone: bool = False) -> None:
        """Handle the event that options were edited or deleted.

        Args:
            uid: uid of the options.
            gone: whether they are deleted.
        """
        for group in self.limits.edited(uid, gone=gone):
            self._notify(group)

    def kinds(self, key: GroupKey) -> set[tuple[str, str]]:
        """API group and kind of all controllers of a group's pods."""
        group = self.groups.get(key)
        return set() if group is None else {self._pods[pod.uid].kind for pod in group.slots.pods()}

    def numbers(self, uid: str) -> tuple[int, int]:
        """Numbers of running and of waiting pods to which the cap of an options object (by uid) applies."""
        return self.limits.numbers(uid)

    def slots_of(self, uid: str) -> Slots | None:
        """The slots of a pod's group; ``None`` if the pod is in none."""
        group = self._group_of.get(uid)
        return None if group is None else group.slots

    def notify(self, uid: str) -> None:
        """Notify the listener that a pod's group may have something to release."""
        group = self._group_of.get(uid)
        if group is not None:
            self._notify(group)

    def seen(self, pod: GatedPod) -> None:
        """Handle a pod that was read before the event of the store arrived."""
        uid = pod.facts.uid
        slots = self.slots_of(uid)
        if slots is None:
            return
        if pod.ended:
            slots.remove(uid)
        else:
            slots.put(pod.facts)
        self.notify(uid)

    def lost(self, uid: str) -> None:
        """Handle the absence of a pod before the event of the store arrived."""
        slots = self.slots_of(uid)
        if slots is not None:
            slots.remove(uid)
            self.notify(uid)

    def abandon(self, key: GroupKey) -> None:
        """Release the pods of an unknown execution, since nothing owns them."""
        group = self.groups.get(key)
        if group is not None:
            group.slots.cap = None
            self._notify(group)

    def totals(self) -> tuple[int, int]:
        """Total numbers of running and of waiting pods."""
        slots = [group.slots for group in self.groups.values()]
        return sum(one.used for one in slots), sum(one.waiting for one in slots)

    def _put(self, pod: GatedPod) -> Group:
        """Assign a pod to its current group, and return the group."""
        facts, key = pod.facts, self._key_of(pod)
        before = self._group_of.get(facts.uid)
        if before is not None and before.key == key:
            before.slots.put(facts)
            self._refresh(before, pod)
            self._notify(before)
            return before
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key)
            if not key.engine:
                self._listener.unknown(key)
        if before is None:
            group.slots.put(facts)
        else:
            group.slots.take(facts, before.slots)
            self._leave(facts.uid)
        self._group_of[facts.uid] = group
        self._joined(group, pod)
        return group

    def _refresh(self, group: Group, pod: GatedPod) -> None:
        """Update the declared limits of a bare pod, which keep the edits that reached the pod."""
        uid = pod.facts.uid
        declared = self._declared_of.get(uid)
        if declared is not None and declared != pod.declared:
            self._declared_of[uid] = pod.declared
            self.limits.join(group, pod.declared)
            self.limits.leave(group, declared)

    def _forget(self, uid: str) -> None:
        known = self._pods.pop(uid, None)
        if known is None:
            return
        self._by_owner.change(known.owner, uid, add=False)
        self._group_of[uid].slots.remove(uid)
        self._leave(uid)

    def _leave(self, uid: str) -> None:
        """Handle that a pod is no longer in its group."""
        group = self._group_of.pop(uid)
        declared = self._declared_of.pop(uid, None)
        if declared is not None:
            self.limits.leave(group, declared)
        if not len(group.slots):
            self.limits.forget(group)
            del self.groups[group.key]
        self._notify(group)

    def _key_of(self, pod: GatedPod) -> GroupKey:
        facts = pod.facts
        if not pod.owner:
            return GroupKey(BARE, facts.namespace, pod.group or facts.uid)
        key = self._world.tracker.owning(pod.owner, facts.namespace, pod.id)
        execution = None if key is None else self._world.execution(key)
        # An execution without options gives its pods no identifier, so the execution of this one is currently unknown.
        if key is None or execution is None or (pod.id and not _has_options(execution)):
            return GroupKey("", facts.namespace, pod.id)
        return GroupKey(*key)

    def _joined(self, group: Group, pod: GatedPod) -> None:
        """Handle that a pod is new in its group."""
        if group.key.engine == BARE:
            self._declared_of[pod.facts.uid] = pod.declared
            self.limits.join(group, pod.declared)
        elif group.key.engine and not group.declared:
            self._read(group)
        self._notify(group)

    def _read(self, group: Group) -> None:
        """Read the declared limits of an execution."""
        execution = self._world.execution(ExecutionKey(*group.key))
        self.limits.read(group, {} if execution is None else execution.metadata.annotations or {})
        self._notify(group)

    def _notify(self, group: Group) -> None:
        self._listener.changed(group)


def _has_options(execution: Execution) -> bool:
    return SNAPSHOT_ANNOTATION in (execution.metadata.annotations or {})
