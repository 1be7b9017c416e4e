"""The states of a delivery, and its transitions.

A delivery is sent under a claim, which is written before anything is sent. Every write is conditional on the version
that was read, so one of two concurrent claims is refused. A claim without an answer expires, and then nobody knows
whether anything arrived.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, structs

from execution_options.outbox import schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.providers.answer import Answer

State = Literal["Pending", "Sending", "Delivered", "Failed", "Suppressed"]
FINISHED: Final[frozenset[State]] = frozenset({"Delivered", "Failed", "Suppressed"})

MAX_ANSWER: Final = 512
"""Longest stored text of an answer, in characters."""
AT_ONCE: Final = 8
"""Most recipients of one attempt. If the attempt is lost, no more of them are in doubt."""


class Claim(Struct, frozen=True, rename="camel"):
    """Who is sending, and until when nobody else may send."""

    holder: str
    attempt: int
    deadline: datetime


class Recipient(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The state of one recipient. The only recipient of a webhook has an empty name; ``thread`` is where answers go."""

    name: str
    state: State = "Pending"
    attempts: int = 0
    possible_duplicate: bool = False
    reason: str = ""
    answer: str = ""
    last_attempt: datetime | None = None
    thread: str = ""


class Status(Struct, frozen=True, rename="camel", omit_defaults=True):
    """``status`` of a delivery.

    Attributes:
        since: when its attempts began: at the first claim, or at the first one after a request to deliver it again.
        next_attempt: when the next attempt is due, if there was one before.
        redelivery: the last request to deliver it again that was carried out.
        members: names of the deliveries that its message is about, if it is sent for a group; fixed by the first claim.
    """

    state: State
    reason: str = ""
    message: str = ""
    attempts: int = 0
    since: datetime | None = None
    next_attempt: datetime | None = None
    claim: Claim | None = None
    possible_duplicate: bool = False
    recipients: tuple[Recipient, ...] = ()
    last_attempt: datetime | None = None
    finished_at: datetime | None = None
    redelivery: str = ""
    members: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self.state in FINISHED


def recorded(recipients: Iterable[str]) -> Status:
    """The status of a delivery that has none yet."""
    return Status("Pending", recipients=tuple(Recipient(name) for name in dict.fromkeys(recipients)))


def suppressed(status: Status, reason: str, message: str, now: datetime) -> Status:
    """The status of a delivery that is not sent.

    Args:
        status: its status so far.
        reason: why, as one word for programs.
        message: why, as a sentence for people.
        now: the current time.
    """
    return _closed(status, "Suppressed", reason, message, now)


def failed(status: Status, reason: str, message: str, now: datetime) -> Status:
    """The status of a delivery that cannot be sent. Arguments as for :func:`suppressed`."""
    return _closed(status, "Failed", reason, _kept(message), now)


def _closed(status: Status, state: State, reason: str, message: str, now: datetime) -> Status:
    recipients = tuple(one if one.state in FINISHED else structs.replace(one, state=state) for one in status.recipients)
    return structs.replace(
        status,
        state=state,
        reason=reason,
        message=message,
        claim=None,
        next_attempt=None,
        recipients=recipients,
        finished_at=now,
    )


def due(status: Status) -> datetime | None:
    """When there is something to do; ``None`` for at once or, if the delivery has finished, never."""
    if status.claim is not None:
        return status.claim.deadline
    return status.next_attempt


def ran_out(status: Status, now: datetime) -> bool:
    """Whether the last attempt never ended, and the time for attempts is up.

    Args:
        status: its status.
        now: the current time.
    """
    return status.claim is not None and schedule.given_up(status.since or now, now)


def next_batch(status: Status) -> frozenset[str]:
    """The recipients of the next attempt. Those with the fewest attempts come first."""
    waiting = [one for one in status.recipients if one.state not in FINISHED]
    return frozenset(one.name for one in sorted(waiting, key=lambda one: one.attempts)[:AT_ONCE])


def claimed(status: Status, holder: str, now: datetime, seconds: float, *, keyed: bool) -> Status:
    """The status with a claim. It must be written before anything is sent.

    Args:
        status: status of a delivery that is due.
        holder: identity of the sender.
        now: the current time.
        seconds: how long nobody else may claim it.
        keyed: whether the provider recognises a repeated message by its key. If not, recipients whose last claim
            expired without an answer may get the message twice, and are marked.
    """
    batch = next_batch(status)
    recipients = tuple(_claimed(one, now, chosen=one.name in batch, keyed=keyed) for one in status.recipients)
    attempt = status.attempts + 1
    return structs.replace(
        status,
        state="Sending",
        reason="",
        message="",
        attempts=attempt,
        since=status.since or now,
        next_attempt=None,
        claim=Claim(holder, attempt, schedule.later(now, seconds)),
        possible_duplicate=any(one.possible_duplicate for one in recipients),
        recipients=recipients,
        last_attempt=now,
    )


def _claimed(recipient: Recipient, now: datetime, *, chosen: bool, keyed: bool) -> Recipient:
    if recipient.state in FINISHED:
        return recipient
    marked = recipient.possible_duplicate or (recipient.state == "Sending" and not keyed)
    if not chosen:
        return structs.replace(recipient, state="Pending", possible_duplicate=marked)
    return structs.replace(
        recipient, state="Sending", attempts=recipient.attempts + 1, possible_duplicate=marked, last_attempt=now
    )


def to_send(status: Status) -> tuple[str, ...]:
    """The recipients that a claim is for."""
    return tuple(one.name for one in status.recipients if one.state == "Sending")


def answered(
    status: Status, claim: Claim, answers: Mapping[str, Answer], now: datetime, chance: float, *, keyed: bool
) -> Status | None:
    """The status after an attempt; ``None`` if the claim is no longer the current one.

    Args:
        status: the current status.
        claim: the claim of the attempt.
        answers: answers by recipient. A recipient without an answer was not tried.
        now: the current time.
        chance: random number from 0 to 1, for the jitter of the next attempt.
        keyed: as for :func:`claimed`.
    """
    if status.claim is None or (status.claim.holder, status.claim.attempt) != (claim.holder, claim.attempt):
        return None
    began = status.since or now
    given_up = schedule.given_up(began, now)
    recipients = tuple(_answered(one, answers.get(one.name), given_up, keyed=keyed) for one in status.recipients)
    changed = structs.replace(
        status,
        claim=None,
        recipients=recipients,
        possible_duplicate=any(one.possible_duplicate for one in recipients),
    )
    sent = to_send(status)
    tried = [answers[name] for name in sent if name in answers]
    again = [one for one in recipients if one.state == "Pending" and one.name in sent]
    if again:
        wait = schedule.pause(
            max(one.attempts for one in again), chance, max((one.retry_after or 0.0 for one in tried), default=0.0)
        )
        reason, message = _problem(tried)
        return structs.replace(
            changed,
            state="Pending",
            reason=reason or "Interrupted",
            message=_kept(message),
            next_attempt=schedule.next_attempt(began, now, wait),
        )
    if any(one.state == "Pending" for one in recipients):
        return structs.replace(changed, state="Pending", reason="InProgress", next_attempt=now)
    return _finished(changed, tried, now, given_up=given_up)


def _answered(recipient: Recipient, answer: Answer | None, given_up: bool, *, keyed: bool) -> Recipient:
    if recipient.state != "Sending":
        return recipient
    if answer is None:
        return structs.replace(recipient, state="Failed" if given_up else "Pending")
    state: State = "Failed" if given_up else "Pending"
    if answer.result == "Accepted":
        state = "Delivered"
    elif answer.result == "Permanent":
        state = "Failed"
    # A message that is not retried cannot arrive twice.
    uncertain = answer.result == "Ambiguous" and state == "Pending" and not keyed
    return structs.replace(
        recipient,
        state=state,
        reason=answer.reason,
        answer=_kept(answer.text),
        thread=answer.thread or recipient.thread,
        possible_duplicate=recipient.possible_duplicate or uncertain,
    )


def _finished(status: Status, tried: Iterable[Answer], now: datetime, *, given_up: bool) -> Status:
    lost = [one for one in status.recipients if one.state == "Failed"]
    if not lost:
        return structs.replace(status, state="Delivered", reason="Accepted", message="", finished_at=now)
    reason, message = _problem(tried)
    message = message or lost[0].answer
    if given_up:
        message = f"given up after {status.attempts} attempts: {message}"
    if len(lost) < len(status.recipients):
        message = f"{len(lost)} of {len(status.recipients)} recipients: {message}"
    return structs.replace(
        status, state="Failed", reason=reason or lost[0].reason, message=_kept(message), finished_at=now
    )


def _problem(answers: Iterable[Answer]) -> tuple[str, str]:
    """Reason and text of the first answer that is not Accepted; empty if there is none."""
    return next(((one.reason, one.text) for one in answers if one.result != "Accepted"), ("", ""))


def redelivered(status: Status, request: str) -> Status:
    """The status of a delivery that somebody asks to deliver again.

    It is sent to the recipients that did not get it or, if all did, to all.

    Args:
        status: its status so far.
        request: the request, which is remembered so that it is carried out once.
    """
    again = {one.name for one in status.recipients if one.state != "Delivered"}
    recipients = tuple(
        structs.replace(one, state="Pending") if one.name in again or not again else one for one in status.recipients
    )
    return structs.replace(
        status,
        state="Pending",
        reason="Redelivery",
        message="",
        since=None,
        next_attempt=None,
        claim=None,
        recipients=recipients,
        finished_at=None,
        redelivery=request,
    )


def _kept(text: str) -> str:
    return text if len(text) <= MAX_ANSWER else text[: MAX_ANSWER - 1] + "…"
