"""The slots of one execution: who has one, who waits, who is next."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator


SLACK: Final = 32
"""Entries of a line that may be out of date besides as many as are not."""


class Pod(Struct, frozen=True, gc=False):
    """What is to be known of a pod that has not ended."""

    uid: str
    namespace: str
    name: str
    created: str
    """RFC 3339."""
    priority: int = 0
    gated: bool = True
    """Whether it has our gate."""
    held_otherwise: bool = False
    """Whether it has other gates, which are others' to remove: ours has to be the last."""
    deleting: bool = False
    unschedulable: bool = False
    """Whether the scheduler finds no place for it."""
    skipped: bool = False
    """Whether it was created past the webhook, without the gate."""
    waiting: str = ""
    """What its annotation says that it waits for."""


class Slots:
    """Decides which pods of one execution to release, so that no release makes more than ``cap`` run.

    A slot is held from the moment at which a release is sent (:meth:`next`) or a pod is seen without the gate,
    until the pod is :meth:`remove`-d: it has succeeded, failed or is gone. What was seen once is never unseen:
    an old event that is told again gives no slot back.
    """

    def __init__(self, cap: int | None = 0) -> None:
        self.cap = cap
        """``None``: no limit."""
        self._pods: dict[str, Pod] = {}
        self._using: set[str] = set()
        self._waiting: set[str] = set()
        """Gated ones without a slot, whoever else holds them."""
        self._line: list[tuple[int, str, str, str]] = []
        """A heap; entries that do not hold any more are skipped."""
        self._in_line: set[str] = set()
        self._parked: set[str] = set()
        self._doubtful: set[str] = set()
        self._again: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._pods)

    @property
    def used(self) -> int:
        """How many slots are in use; more than the cap where it was lowered, or pods started without the gate."""
        return len(self._using)

    @property
    def is_full(self) -> bool:
        """Whether no slot is free."""
        return self.cap is not None and len(self._using) >= self.cap

    @property
    def _is_over(self) -> bool:
        return self.cap is not None and len(self._using) > self.cap

    @property
    def waiting(self) -> int:
        """How many pods wait."""
        return len(self._waiting)

    def get(self, uid: str) -> Pod | None:
        """The pod, or ``None``."""
        return self._pods.get(uid)

    def has_slot(self, uid: str) -> bool:
        """Whether a pod has a slot."""
        return uid in self._using

    def put(self, pod: Pod) -> None:
        """A pod came or changed."""
        self._pods[pod.uid] = pod
        if not pod.gated:
            self._using.add(pod.uid)
        self._place(pod)

    def take(self, pod: Pod, before: Slots) -> None:
        """A pod turns out to belong here, with all that it has elsewhere: a slot, doubts, a release to be repeated."""
        uid = pod.uid
        mine = (self._using, self._parked, self._doubtful)
        for members, others in zip(mine, (before._using, before._parked, before._doubtful), strict=True):
            if uid in others:
                members.add(uid)
        if uid in before._again:
            self._again.append(uid)
        before.remove(uid)
        self.put(pod)

    def remove(self, uid: str) -> bool:
        """A pod has ended or is gone; whether it had a slot."""
        had = uid in self._using
        self._pods.pop(uid, None)
        for members in (self._using, self._waiting, self._in_line, self._parked, self._doubtful):
            members.discard(uid)
        return had

    def next(self) -> Pod | None:
        """A pod whose release is to be sent now, which has a slot from now on; ``None`` where nothing is to do.

        For a doubtful one see :meth:`must_ask` first.
        """
        while self._again:
            again = self._pods.get(self._again.popleft())
            if again is None or not again.gated or again.uid not in self._using:
                continue
            if again.uid in self._doubtful or not self._is_over:
                return again
            self.settle(again.uid)
        while self.releasable:
            uid = heapq.heappop(self._line)[-1]
            pod = self._pods[uid]
            self._using.add(uid)
            self._place(pod)
            return pod
        return None

    @property
    def releasable(self) -> bool:
        """Whether :meth:`next` has one."""
        while self._line and self._line[0][-1] not in self._in_line:
            heapq.heappop(self._line)
        return bool(self._again) or (bool(self._line) and (self.cap is None or len(self._using) < self.cap))

    def doubt(self, uid: str) -> None:
        """Nobody knows whether a release was carried out, or will be: the pod keeps its slot."""
        if uid in self._pods:
            self._doubtful.add(uid)

    def settle(self, uid: str) -> None:
        """No release of a pod was carried out, or will be, whatever was in doubt: it is in line again."""
        pod = self._pods.get(uid)
        self._doubtful.discard(uid)
        if pod is not None and pod.gated:
            self._using.discard(uid)
            self._place(pod)

    def must_ask(self, uid: str) -> bool:
        """Whether to send a doubtful release again could be one too many, since more have slots than the cap allows.

        It has to be found out first what became of it (:meth:`settle`).
        """
        return uid in self._doubtful and self._is_over

    def repeat(self, uid: str) -> None:
        """Send a release of a pod that has its slot once more; one that is not doubtful while the cap allows it."""
        if uid in self._using and uid in self._pods:
            self._again.append(uid)

    def refuse(self, uid: str) -> bool:
        """A release was certainly not carried out: whether the slot was given back.

        It is not where an earlier one of the same pod may still be. The pod is out of line until :meth:`readmit`.
        """
        pod = self._pods.get(uid)
        if pod is None or not pod.gated or uid in self._doubtful:
            return False
        self._using.discard(uid)
        self._parked.add(uid)
        self._place(pod)
        return True

    def readmit(self, uid: str) -> None:
        """Put a refused pod in line again."""
        self._parked.discard(uid)
        if uid in self._pods:
            self._place(self._pods[uid])

    def line(self) -> Iterator[Pod]:
        """Those who wait, in the order of their release; those that cannot be released now come last.

        Each is found when it is asked for, in logarithmic time: nothing may change meanwhile.
        """
        entries = self._line
        ahead = [(entries[0], 0)] if entries else []
        last = ""
        while ahead:
            (*_, uid), place = heapq.heappop(ahead)
            for below in range(2 * place + 1, min(2 * place + 3, len(entries))):
                heapq.heappush(ahead, (entries[below], below))
            # One that left the line and came back is in it twice.
            if uid in self._in_line and uid != last:
                last = uid
                yield self._pods[uid]
        for uid in self._waiting:
            if uid not in self._in_line:
                yield self._pods[uid]

    def users(self) -> Iterator[Pod]:
        """The pods that have a slot."""
        return (self._pods[uid] for uid in self._using)

    def pods(self) -> Iterator[Pod]:
        """All pods."""
        return iter(self._pods.values())

    def _place(self, pod: Pod) -> None:
        """Bring what is known of a pod's place up to date."""
        uid = pod.uid
        if uid in self._using or pod.deleting:
            # One that is deleted while gated was never scheduled: it needs no slot any more.
            self._waiting.discard(uid)
            self._in_line.discard(uid)
            return
        self._waiting.add(uid)
        if pod.held_otherwise or uid in self._parked:
            self._in_line.discard(uid)
        elif uid not in self._in_line:
            self._in_line.add(uid)
            if len(self._line) > 2 * len(self._in_line) + SLACK:
                self._line = [_rank(self._pods[one]) for one in self._in_line]
                heapq.heapify(self._line)
            else:
                heapq.heappush(self._line, _rank(pod))


def _rank(pod: Pod) -> tuple[int, str, str, str]:
    """By priority, then age."""
    return (-pod.priority, pod.created, pod.name, pod.uid)
