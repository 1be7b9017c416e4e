"""Deliveries that are sent together: one of them leads, and its message is about all.

Each end is recorded as a delivery of its own, so nothing is lost while a group grows. The leader's first claim names
the members of its message for good: whoever comes later is a member of the next message, and a repetition after a crash
is about the same members, so that a receiver that knows a message by its key loses none of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

if TYPE_CHECKING:
    from execution_options.outbox.record import GroupRef
    from execution_options.outbox.state import Status

MOST: Final = 200
"""Most members of one message."""
CLAIM_SECONDS: Final = 1.0
"""Seconds until another look while the claim of a leader is being written."""


class Wait(Struct, frozen=True):
    """Others may still come, or another one leads; ``seconds`` until the next look."""

    seconds: float


class Ride(Struct, frozen=True):
    """The message of ``leader`` is about this one, too."""

    leader: str


class Lead(Struct, frozen=True):
    """Its message is about all ``members``, itself included."""

    members: tuple[str, ...]


Turn = Wait | Ride | Lead


class Group:
    """One group of a namespace, as far as this process knows it. Deliveries are told apart by name."""

    def __init__(self) -> None:
        self._waiting: dict[str, datetime] = {}
        """When each delivery was created that is in no message yet."""
        self._since: datetime | None = None
        """When the first of them was created."""
        self.leading = ""
        """The delivery whose claim is about to be written."""
        self._leaders: dict[str, str] = {}
        """Delivery that has not finished → the one whose message is about it."""
        self._last: datetime | None = None
        """When the last message was claimed."""

    @property
    def is_idle(self) -> bool:
        """Whether it has no open delivery."""
        return not self._waiting and not self._leaders

    def claimed(self, leader: str, members: tuple[str, ...], at: datetime) -> None:
        """A claim names the members of a message.

        Args:
            leader: the delivery with the claim.
            members: all that the message is about.
            at: when it was claimed.
        """
        for one in members:
            if one != leader:
                self._leaders.setdefault(one, leader)
        self._last = at if self._last is None else max(self._last, at)
        self._drop(*members)

    def _drop(self, *names: str) -> None:
        for one in names:
            self._waiting.pop(one, None)
        if self.leading in names:
            self.leading = ""
        self._since = min(self._waiting.values(), default=None)

    def left(self, name: str) -> None:
        """A delivery has finished, or is gone."""
        if name in self._waiting:
            self._drop(name)
        self._leaders.pop(name, None)

    def leader(self, name: str) -> str:
        """The delivery whose message is about another open one; empty if there is none."""
        return self._leaders.get(name, "")

    def riders(self, leader: str) -> list[str]:
        """The open deliveries that a leader's message is about."""
        return [one for one, other in self._leaders.items() if other == leader]

    def abandoned(self, leader: str) -> None:
        """A leader is gone without a result: its riders are in no message."""
        for one in self.riders(leader):
            del self._leaders[one]

    def turn(self, name: str, created: datetime, ref: GroupRef, now: datetime) -> Turn:
        """What a delivery has to do now.

        Args:
            name: the delivery, which has not finished and leads no message.
            created: when it was created.
            ref: its group.
            now: the current time.
        """
        leader = self._leaders.get(name)
        if leader is not None:
            return Ride(leader)
        if name not in self._waiting:
            self._waiting[name] = created
            self._since = created if self._since is None else min(self._since, created)
        due = (self._since or created) + timedelta(seconds=ref.wait_seconds)
        if self._last is not None:
            due = max(due, self._last + timedelta(seconds=ref.interval_seconds))
        if now < due:
            return Wait((due - now).total_seconds())
        if self.leading not in ("", name):
            return Wait(CLAIM_SECONDS)
        self.leading = name
        order = sorted(self._waiting, key=lambda one: (one != name, self._waiting[one], one))
        return Lead(tuple(order[:MOST]))


def ridden(status: Status, leader: str, led: Status) -> Status:
    """The final status of a delivery that another one's message was about.

    Args:
        status: its status so far.
        leader: name of the other one.
        led: the final status of the other one.
    """
    results = {one.name: one for one in led.recipients}
    return structs.replace(
        status,
        state=led.state,
        reason="Grouped" if led.state == "Delivered" else led.reason,
        message=f"sent with {leader}" if led.state == "Delivered" else led.message,
        attempts=led.attempts,
        claim=None,
        next_attempt=None,
        possible_duplicate=led.possible_duplicate,
        recipients=tuple(results.get(one.name, structs.replace(one, state=led.state)) for one in status.recipients),
        last_attempt=led.last_attempt,
        finished_at=led.finished_at,
    )
