"""Which pods share a cap, what it is now, and what that lets go: no request is sent from here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from execution_options.api.names import (
    CLUSTER_OPTIONS_KIND,
    GROUP_ANNOTATION,
    LEFT_TO_KUEUE,
    LIVE_ANNOTATION,
    MISSED_ANNOTATION,
    SNAPSHOT_ANNOTATION,
)
from execution_options.controller.members import Members
from execution_options.controller.objects import ExecutionKey, OptionsKey
from execution_options.controller.parallelism.objects import GatedPod, GroupKey
from execution_options.parallelism.caps import Cap, Said, effective, is_frozen, recorded
from execution_options.parallelism.gate import AIRFLOW_LABELS, group_of
from execution_options.parallelism.slots import Slots

if TYPE_CHECKING:
    from execution_options.controller.index import OptionsIndex
    from execution_options.controller.world import World
    from execution_options.kube.store import Key

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
        self._pods: dict[Key, GatedPod] = {}
        self._group_of: dict[str, GroupKey] = {}
        """By uid of the pod."""
        self._said_of: dict[str, tuple[Said, ...]] = {}
        """What options said of a bare pod when it came, by its uid."""
        self._by_owner: Members[str, Key] = Members()
        self._by_id: Members[tuple[str, str], Key] = Members()
        self._by_options: Members[str, GroupKey] = Members()
        self._gone: set[str] = set()
        """uids of options that are known to be deleted."""

    def pod_changed(self, old: GatedPod | None, new: GatedPod | None) -> None:
        """A pod came, changed or went (as a store tells it)."""
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._forget(old)
        if new is None:
            return
        if new.ended:
            self._forget(new)
            return
        if new.metadata.labels.state == LEFT_TO_KUEUE:
            if old is None:
                self._listener.left_to_kueue(self._key_of(new))
            return
        key = (new.metadata.namespace, new.metadata.name)
        known = self._pods.get(key)
        if known is not None:
            self._file(key, known, add=False)
        self._file(key, new, add=True)
        self._pods[key] = new
        self._put(new)

    def owner_changed(self, uid: str, namespace: str, identifier: str) -> None:
        """An execution, or a part of one, came or went, or other options hold for it."""
        keys = {*self._by_owner.of(uid), *self._by_id.of((namespace, identifier))}
        pods = [self._pods[key] for key in keys]
        for pod in pods:
            self._put(pod)
        for key in {self._group_of[pod.metadata.uid] for pod in pods}:
            if key.engine not in ("", BARE):
                self._read(self.groups[key])

    def options_changed(self, uid: str, *, gone: bool = False) -> None:
        """Options were edited, or are deleted."""
        if gone:
            self._gone.add(uid)
        for key in list(self._by_options.of(uid)):
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
        key = self._group_of.get(uid)
        return None if key is None else self.groups[key].slots

    def tell(self, uid: str) -> None:
        """Have whatever can be released in a pod's group released."""
        key = self._group_of.get(uid)
        if key is not None:
            self._tell(self.groups[key])

    def seen(self, pod: GatedPod) -> None:
        """A pod was read; the store will tell the same some time."""
        slots = self.slots_of(pod.metadata.uid)
        if slots is None:
            return
        if pod.ended:
            slots.remove(pod.metadata.uid)
        else:
            slots.put(pod.facts())
        self.tell(pod.metadata.uid)

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

    def _put(self, pod: GatedPod) -> None:
        facts = pod.facts()
        key = self._key_of(pod)
        before = self._group_of.get(facts.uid)
        had_slot = False
        if before is not None and before != key:
            had_slot = self.groups[before].slots.remove(facts.uid)
            self._leave(facts.uid)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key)
            if not key.engine:
                self._listener.unknown(key)
        group.slots.put(facts)
        if had_slot:
            group.slots.hold(facts.uid)
        if before != key:
            self._group_of[facts.uid] = key
            self._joined(group, pod)
        else:
            self._tell(group)

    def _forget(self, pod: GatedPod) -> None:
        key, uid = (pod.metadata.namespace, pod.metadata.name), pod.metadata.uid
        known = self._pods.get(key)
        if known is not None and known.metadata.uid == uid:
            del self._pods[key]
            self._file(key, known, add=False)
        group = self._group_of.get(uid)
        if group is not None:
            self.groups[group].slots.remove(uid)
            self._leave(uid)

    def _file(self, key: Key, pod: GatedPod, *, add: bool) -> None:
        metadata = pod.metadata
        self._by_id.change((metadata.namespace, metadata.labels.id), key, add=add)
        if metadata.controller is not None:
            self._by_owner.change(metadata.controller.uid, key, add=add)

    def _leave(self, uid: str) -> None:
        """A pod is not in its group any more."""
        group = self.groups[self._group_of.pop(uid)]
        said = self._said_of.pop(uid, None)
        if said is not None:
            group.said[said] -= 1
            if not group.said[said]:
                self._say(group, said, add=False)
                if group.said:
                    self._recap(group)
        if not len(group.slots):
            for said in list(group.said):
                self._say(group, said, add=False)
            del self.groups[group.key]
        self._tell(group)

    def _key_of(self, pod: GatedPod) -> GroupKey:
        metadata = pod.metadata
        owner = metadata.controller
        if owner is None:
            labels, annotations = metadata.labels, metadata.annotations
            group = group_of(
                dict(zip(AIRFLOW_LABELS, (labels.dag, labels.run), strict=True)), {GROUP_ANNOTATION: annotations.group}
            )
            return GroupKey(BARE, metadata.namespace, group or metadata.uid)
        execution = self._world.tracker.owning(owner.uid, metadata.namespace, metadata.labels.id)
        return GroupKey("", metadata.namespace, metadata.labels.id) if execution is None else GroupKey(*execution)

    def _joined(self, group: Group, pod: GatedPod) -> None:
        """A pod is new in its group."""
        if group.key.engine == BARE:
            group.counted = group.counted or group.key.name == pod.metadata.uid
            said = self._said_of[pod.metadata.uid] = _said(pod)
            group.said[said] += 1
            if group.said[said] == 1:
                self._say(group, said, add=True)
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

    def _tell(self, group: Group) -> None:
        if group.slots.releasable:
            self._listener.releasable(group.key)
        elif group.slots.waiting:
            self._listener.waiting(group.key)
        if group.cap is not None:
            self._listener.counted(group.cap.uid)


def _said(pod: GatedPod) -> tuple[Said, ...]:
    annotations = pod.metadata.annotations
    return recorded(annotations.snapshot, annotations.live)
