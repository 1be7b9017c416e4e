"""Which pods share a cap, what it is now, and what that lets go: no request is sent from here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from execution_options.api.names import CLUSTER_OPTIONS_KIND, LIVE_ANNOTATION, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.controller.members import Members
from execution_options.controller.objects import ExecutionKey, OptionsKey
from execution_options.controller.parallelism.objects import GatedPod, GroupKey
from execution_options.parallelism.caps import Cap, Said, effective, is_frozen, recorded
from execution_options.parallelism.slots import Slots

if TYPE_CHECKING:
    from execution_options.controller.index import OptionsIndex
    from execution_options.controller.world import World

NOBODY: Final = 0
"""The cap of pods of which it is not known yet whose they are, or beside whom: none of them is released."""


BARE: Final = "pod"
"""The engine of bare pods."""


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

    def left_to_kueue(self, key: GroupKey) -> None:
        """Kueue manages a pod of a group."""

    def counted(self, uid: str) -> None:
        """The numbers of pods have changed that options limit."""


class Group:
    """Pods that share a cap."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.slots = Slots(NOBODY)
        self.cap: Cap | None = None
        self.counted = False
        """Whether all of its pods that run are known to have the label, which they may have been created without."""
        self.said: Counter[tuple[Said, ...]] = Counter()
        """What options said of it: of an execution once, of a group of bare pods as often as it has pods."""


class Board:
    """All groups.

    Args:
        world: executions, and whose a pod is.
        index: options as they are now.
        listener: is told what follows.
    """

    def __init__(self, world: World, index: OptionsIndex, listener: Listener) -> None:
        self._world = world
        self._index = index
        self._listener = listener
        self.groups: dict[GroupKey, Group] = {}
        self._pods: dict[str, GatedPod] = {}
        """By uid, as the following."""
        self._group_of: dict[str, Group] = {}
        self._said_of: dict[str, tuple[Said, ...]] = {}
        """What options said of a bare pod when it came."""
        self._by_owner: Members[str, str] = Members()
        self._by_options: Members[str, GroupKey] = Members()
        self._gone: set[str] = set()
        """uids of options that are known to be deleted, and still have a say."""

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
            if old is None:
                self._listener.left_to_kueue(self._key_of(new))
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
        concerned = list(self._by_options.of(uid))
        if gone and concerned:
            self._gone.add(uid)
        for key in concerned:
            self._recap(self.groups[key])

    def knows(self, uid: str) -> bool:
        """Whether a pod is in a group."""
        return uid in self._group_of

    def uncounted(self, namespace: str) -> list[GroupKey]:
        """Groups of bare pods of a namespace that may have pods without the label."""
        bare = (group for group in self.groups.values() if group.key.engine == BARE)
        return [group.key for group in bare if group.key.namespace == namespace and not group.counted]

    def counted(self, key: GroupKey) -> None:
        """All pods of a group have the label that run, and are known."""
        group = self.groups.get(key)
        if group is not None and not group.counted:
            group.counted = True
            self._recap(group)

    def cap_of(self, said: tuple[Said, ...], namespace: str) -> Cap | None:
        """The cap that follows from what options said, as they are now."""
        return effective(said, self._index.find(namespace), lambda one: self._is_gone(one, namespace))

    def numbers(self, uid: str) -> tuple[int, int]:
        """How many pods run, and how many wait, to which the cap of an options object applies."""
        groups = [self.groups[key] for key in self._by_options.of(uid)]
        mine = [group.slots for group in groups if group.cap is not None and group.cap.uid == uid]
        return sum(slots.used for slots in mine), sum(slots.waiting for slots in mine)

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
            self._tell(before)
            return before
        had_slot = False
        if before is not None:
            had_slot = before.slots.remove(facts.uid)
            self._leave(facts.uid)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key)
            if not key.engine:
                self._listener.unknown(key)
        group.slots.put(facts)
        if had_slot:
            group.slots.hold(facts.uid)
        self._group_of[facts.uid] = group
        self._joined(group, pod)
        return group

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
            group.said[said] -= 1
            if not group.said[said]:
                self._say(group, said, add=False)
                self._drop(said)
                if group.said:
                    self._recap(group)
        if not len(group.slots):
            for said in list(group.said):
                self._say(group, said, add=False)
                self._drop(said)
            del self.groups[group.key]
        self._tell(group)

    def _key_of(self, pod: GatedPod) -> GroupKey:
        facts = pod.facts
        if not pod.owner:
            return GroupKey(BARE, facts.namespace, pod.group or facts.uid)
        execution = self._world.tracker.owning(pod.owner, facts.namespace, pod.id)
        return GroupKey("", facts.namespace, pod.id) if execution is None else GroupKey(*execution)

    def _joined(self, group: Group, pod: GatedPod) -> None:
        """A pod is new in its group."""
        if group.key.engine == BARE:
            group.counted = group.counted or group.key.name == pod.facts.uid
            self._said_of[pod.facts.uid] = pod.said
            group.said[pod.said] += 1
            if group.said[pod.said] == 1:
                self._say(group, pod.said, add=True)
                self._recap(group)
        elif group.key.engine and not group.said:
            self._read(group)
        self._tell(group)

    def _read(self, group: Group) -> None:
        """Read what options said of an execution."""
        execution = self._world.execution(ExecutionKey(*group.key))
        annotations = {} if execution is None else execution.metadata.annotations or {}
        for said in list(group.said):
            self._say(group, said, add=False)
        snapshot = annotations.get(SNAPSHOT_ANNOTATION)
        # Where there was a limit at its creation, all of its pods were created with the label.
        group.counted = group.counted or (is_frozen(recorded(snapshot, None)) and MISSED_ANNOTATION not in annotations)
        said = recorded(snapshot, annotations.get(LIVE_ANNOTATION))
        group.said[said] = 1
        self._say(group, said, add=True)
        self._recap(group)

    def _recap(self, group: Group) -> None:
        """Find out what the cap is now."""
        caps = [self.cap_of(said, group.key.namespace) for said in group.said]
        # Bare pods of one group may have been given different options: the least of their caps is nobody's surprise.
        group.cap = min((cap for cap in caps if cap is not None), key=lambda cap: cap.value, default=None)
        if group.cap is None:
            group.slots.cap = None
            # Bare pods that come while there is no limit are not labelled; an execution's go on being so.
            group.counted = group.counted and group.key.engine != BARE
        elif group.counted:
            group.slots.cap = group.cap.value
        else:
            group.slots.cap = NOBODY
            self._listener.uncounted(group.key)
        self._tell(group)

    def _is_gone(self, said: Said, namespace: str) -> bool:
        if said.uid in self._gone:
            return True
        key = OptionsKey(said.kind, "" if said.kind == CLUSTER_OPTIONS_KIND else namespace, said.name)
        known = self._index.get(key)
        if known is None or known.uid != said.uid:
            self._listener.unsure(key, said.uid)
        return False

    def _say(self, group: Group, said: tuple[Said, ...], *, add: bool) -> None:
        """Remember, or forget, that options have a say in a group."""
        if not add:
            del group.said[said]
        for one in said:
            if add or not any(one.uid == other.uid for others in group.said for other in others):
                self._by_options.change(one.uid, group.key, add=add)

    def _drop(self, said: tuple[Said, ...]) -> None:
        """Forget that options are deleted which have no say any more."""
        self._gone.difference_update(one.uid for one in said if not self._by_options.of(one.uid))

    def _tell(self, group: Group) -> None:
        if group.slots.releasable:
            self._listener.releasable(group.key)
        elif group.slots.waiting:
            self._listener.waiting(group.key)
        if group.cap is not None:
            self._listener.counted(group.cap.uid)
