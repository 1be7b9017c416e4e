"""Which pods share a cap, and what that lets go: no request is sent from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.keys import ExecutionKey, GroupKey
from execution_options.api.names import SNAPSHOT_ANNOTATION
from execution_options.multimap import Members
from execution_options.parallelism.groups import BARE, Group
from execution_options.parallelism.limits import Limits

if TYPE_CHECKING:
    from execution_options.parallelism.caps import Said
    from execution_options.parallelism.groups import Listener
    from execution_options.parallelism.pods import GatedPod
    from execution_options.parallelism.slots import Slots
    from execution_options.parallelism.sources import Execution, Executions, Options


class Board:
    """All groups.

    Args:
        world: executions, and whose a pod is.
        index: options as they are now.
        listener: is told what follows.
    """

    def __init__(self, world: Executions, index: Options, listener: Listener) -> None:
        self._world = world
        self._listener = listener
        self.limits = Limits(index, listener)
        self.groups: dict[GroupKey, Group] = {}
        self._pods: dict[str, GatedPod] = {}
        """By uid, as the following."""
        self._group_of: dict[str, Group] = {}
        self._said_of: dict[str, tuple[Said, ...]] = {}
        """What options said of a bare pod."""
        self._by_owner: Members[str, str] = Members()

    def pod_changed(self, old: GatedPod | None, new: GatedPod | None) -> None:
        """A pod came, changed or went (as a store tells it)."""
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
            # It never was in a group: gates cannot be added to a pod that exists.
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
        """An execution came or went, or other options hold for it."""
        if key.engine == BARE:
            return  # it is its own pod
        groups = [self._put_again(uid, key.namespace, identifier)]
        group = self.groups.get(GroupKey(*key))
        if group is not None:
            groups.append({self._put(self._pods[pod.uid]) for pod in list(group.slots.pods())})
        for changed in set().union(*groups):
            if changed.key.engine not in ("", BARE):
                self._read(changed)

    def part_changed(self, uid: str, namespace: str, identifier: str) -> None:
        """A part of an execution came or went."""
        self._put_again(uid, namespace, identifier)

    def _put_again(self, owner: str, namespace: str, identifier: str) -> set[Group]:
        """Look again whose pods are that an object controls, or of which nobody knew; the groups that they are in."""
        unknown = self.groups.get(GroupKey("", namespace, identifier))
        waiting = () if unknown is None else (pod.uid for pod in unknown.slots.pods())
        return {self._put(self._pods[uid]) for uid in {*self._by_owner.of(owner), *waiting}}

    def options_changed(self, uid: str, *, gone: bool = False) -> None:
        """Options were edited, or are deleted."""
        for group in self.limits.edited(uid, gone=gone):
            self._tell(group)

    def kinds(self, key: GroupKey) -> set[tuple[str, str]]:
        """Group and kind of all that controls pods of a group."""
        group = self.groups.get(key)
        return set() if group is None else {self._pods[pod.uid].kind for pod in group.slots.pods()}

    def numbers(self, uid: str) -> tuple[int, int]:
        """How many pods run, and how many wait, to which the cap of an options object applies."""
        return self.limits.numbers(uid)

    def slots_of(self, uid: str) -> Slots | None:
        """The slots of a pod's group, while it is in one."""
        group = self._group_of.get(uid)
        return None if group is None else group.slots

    def tell(self, uid: str) -> None:
        """Have whatever can be released in a pod's group released."""
        group = self._group_of.get(uid)
        if group is not None:
            self._tell(group)

    def seen(self, pod: GatedPod) -> None:
        """A pod was read; the store will tell the same some time."""
        uid = pod.facts.uid
        slots = self.slots_of(uid)
        if slots is None:
            return
        if pod.ended:
            slots.remove(uid)
        else:
            slots.put(pod.facts)
        self.tell(uid)

    def lost(self, uid: str) -> None:
        """A pod is gone; the store will tell the same some time."""
        slots = self.slots_of(uid)
        if slots is not None:
            slots.remove(uid)
            self.tell(uid)

    def abandon(self, key: GroupKey) -> None:
        """Nobody has the pods of an unknown execution: let them go."""
        group = self.groups.get(key)
        if group is not None:
            group.slots.cap = None
            self._tell(group)

    def totals(self) -> tuple[int, int]:
        """How many pods run and wait in all."""
        slots = [group.slots for group in self.groups.values()]
        return sum(one.used for one in slots), sum(one.waiting for one in slots)

    def _put(self, pod: GatedPod) -> Group:
        """Put a pod where it belongs, as it is now; the group that it is in."""
        facts, key = pod.facts, self._key_of(pod)
        before = self._group_of.get(facts.uid)
        if before is not None and before.key == key:
            before.slots.put(facts)
            self._say_again(before, pod)
            self._tell(before)
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

    def _say_again(self, group: Group, pod: GatedPod) -> None:
        """Read what options say of a pod by now: which edits reached it counts where later ones do not."""
        uid = pod.facts.uid
        said = self._said_of.get(uid)
        if said is not None and said != pod.said:
            self._said_of[uid] = pod.said
            self.limits.join(group, pod.said)
            self.limits.leave(group, said)

    def _forget(self, uid: str) -> None:
        known = self._pods.pop(uid, None)
        if known is None:
            return
        self._by_owner.change(known.owner, uid, add=False)
        self._group_of[uid].slots.remove(uid)
        self._leave(uid)

    def _leave(self, uid: str) -> None:
        """A pod is not in its group any more."""
        group = self._group_of.pop(uid)
        said = self._said_of.pop(uid, None)
        if said is not None:
            self.limits.leave(group, said)
        if not len(group.slots):
            self.limits.forget(group)
            del self.groups[group.key]
        self._tell(group)

    def _key_of(self, pod: GatedPod) -> GroupKey:
        facts = pod.facts
        if not pod.owner:
            return GroupKey(BARE, facts.namespace, pod.group or facts.uid)
        key = self._world.tracker.owning(pod.owner, facts.namespace, pod.id)
        execution = None if key is None else self._world.execution(key)
        # What has no options gave no pod an identifier: it is a part of something that is no execution at the moment.
        if key is None or execution is None or (pod.id and not _has_options(execution)):
            return GroupKey("", facts.namespace, pod.id)
        return GroupKey(*key)

    def _joined(self, group: Group, pod: GatedPod) -> None:
        """A pod is new in its group."""
        if group.key.engine == BARE:
            self._said_of[pod.facts.uid] = pod.said
            self.limits.join(group, pod.said)
        elif group.key.engine and not group.said:
            self._read(group)
        self._tell(group)

    def _read(self, group: Group) -> None:
        """Read what options said of an execution."""
        execution = self._world.execution(ExecutionKey(*group.key))
        self.limits.read(group, {} if execution is None else execution.metadata.annotations or {})
        self._tell(group)

    def _tell(self, group: Group) -> None:
        self._listener.changed(group)


def _has_options(execution: Execution) -> bool:
    return SNAPSHOT_ANNOTATION in (execution.metadata.annotations or {})
