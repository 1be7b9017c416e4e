"""The slots of one execution: which pods have one, which wait, and which is next."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator


SLACK: Final = 32
"""Outdated entries that the line may have in addition to as many as it has current ones."""


class Pod(Struct, frozen=True, gc=False):
    """The facts about a pod that has not ended."""

    uid: str
    namespace: str
    name: str
    created: str
    """Time of creation (RFC 3339)."""
    priority: int = 0
    gated: bool = True
    """Whether it has our gate."""
    held_otherwise: bool = False
    """Whether it has other gates, too. Others must remove them first, because ours must be the last."""
    deleting: bool = False
    unschedulable: bool = False
    """Whether the scheduler finds no node for it."""
    skipped: bool = False
    """Whether it never waited, because it was created past the webhook or with a node."""
    waiting: str = ""
    """Its annotation about what it waits for."""


class Slots:
    """Decides which pods of one execution to release, so that no release makes more than ``cap`` run.

    A pod has a slot from the moment its release is sent (:meth:`next`) or it is seen without the gate, until it is
    removed (:meth:`remove`) because it has succeeded, failed or is gone. A repeated old event gives no slot back.
    """

    def __init__(self, cap: int | None = 0) -> None:
        self.cap = cap
        """Most slots; ``None`` for no limit."""
        self._pods: dict[str, Pod] = {}
        self._using: set[str] = set()
        self._waiting: set[str] = set()
        """uids of gated pods without a slot."""
        self._line: list[tuple[int, str, str, str]] = []
        """A heap. Outdated entries are skipped."""
        self._in_line: set[str] = set()
        self._parked: set[str] = set()
        """uids of pods whose release was refused."""
        self._doubtful: set[str] = set()
        """uids of pods with a release whose result is unknown."""
        self._again: deque[str] = deque()
        """uids of pods whose release is to be repeated."""

    def __len__(self) -> int:
        return len(self._pods)

    @property
    def used(self) -> int:
        """Number of slots in use. It exceeds the cap if that was lowered, or pods started without the gate."""
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
        """Number of waiting pods."""
        return len(self._waiting)

    def get(self, uid: str) -> Pod | None:
        """The pod with a uid, or ``None``."""
        return self._pods.get(uid)

    def has_slot(self, uid: str) -> bool:
        """Whether a pod has a slot."""
        return uid in self._using

    def put(self, pod: Pod) -> None:
        """Add or update a pod."""
        self._pods[pod.uid] = pod
        if not pod.gated:
            self._using.add(pod.uid)
        self._place(pod)

    def take(self, pod: Pod, before: Slots) -> None:
        """Move a pod here with its state: its slot, its doubts, and its release that is to be repeated.

        Args:
            pod: the pod.
            before: the slots that it was in.
        """
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
        """Remove a pod that has ended or is gone. Returns whether it had a slot."""
        had = uid in self._using
        self._pods.pop(uid, None)
        for members in (self._using, self._waiting, self._in_line, self._parked, self._doubtful):
            members.discard(uid)
        return had

    def next(self) -> Pod | None:
        """Give a slot to the next pod and return it, so that its release is sent; ``None`` if there is nothing to do.

        Before the release of a doubtful pod is sent again, check :meth:`must_verify`.
        """
        while self._again:
            again = self._pods.get(self._again.popleft())
            if again is None or not again.gated or again.uid not in self._using:
                continue
            if again.uid in self._doubtful or not self._is_over:
                return again
            self.requeue(again.uid)
        while self.releasable:
            uid = heapq.heappop(self._line)[-1]
            pod = self._pods[uid]
            self._using.add(uid)
            self._place(pod)
            return pod
        return None

    @property
    def releasable(self) -> bool:
        """Whether :meth:`next` may return a pod."""
        while self._line and self._line[0][-1] not in self._in_line:
            heapq.heappop(self._line)
        return bool(self._again) or (bool(self._line) and (self.cap is None or len(self._using) < self.cap))

    def doubt(self, uid: str) -> None:
        """Record that the result of a pod's release is unknown. The pod keeps its slot."""
        if uid in self._pods:
            self._doubtful.add(uid)

    def requeue(self, uid: str) -> None:
        """Put a pod in line again, because no release of it took effect or can still take effect."""
        pod = self._pods.get(uid)
        self._doubtful.discard(uid)
        if pod is not None and pod.gated:
            self._using.discard(uid)
            self._place(pod)

    def must_verify(self, uid: str) -> bool:
        """Whether the result of a doubtful release must be verified before it is sent again.

        That is so while more pods have slots than the cap allows. If it did not take effect, see :meth:`requeue`.
        """
        return uid in self._doubtful and self._is_over

    def repeat(self, uid: str) -> None:
        """Let :meth:`next` return a pod with a slot again; one that is not doubtful only while the cap allows it."""
        if uid in self._using and uid in self._pods:
            self._again.append(uid)

    def refuse(self, uid: str) -> bool:
        """Handle that a release certainly did not take effect. The pod is out of line until :meth:`readmit`.

        Returns:
            Whether the slot was given back. It is kept if an earlier release of the pod may still take effect.
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
        """The waiting pods in the order of their release. Pods that cannot be released now come last.

        Each pod is found when it is asked for, in logarithmic time. Nothing may change during the iteration.
        """
        entries = self._line
        ahead = [(entries[0], 0)] if entries else []
        last = ""
        while ahead:
            (*_, uid), place = heapq.heappop(ahead)
            for below in range(2 * place + 1, min(2 * place + 3, len(entries))):
                heapq.heappush(ahead, (entries[below], below))
            # A pod that left the line and came back has two entries.
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
        """Update the place of a pod in the line."""
        uid = pod.uid
        if uid in self._using or pod.deleting:
            # A pod that is deleted while gated was never scheduled, so it needs no slot.
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
    """Sort key of a pod: by priority, then age, then name."""
    return (-pod.priority, pod.created, pod.name, pod.uid)
