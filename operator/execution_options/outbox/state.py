"""The states of a delivery, and what takes it from one to the next.

A delivery is sent under a claim, which is written before anything is sent. Whoever writes does so only to
the version that he read, so of two claims one is refused. A claim that nobody answers runs out, and the
next one does not know whether anything arrived.
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
"""Characters that are kept of what a provider said."""
AT_ONCE: Final = 8
"""Recipients of one attempt: what is lost with it concerns no more of them."""


class Claim(Struct, frozen=True, rename="camel"):
    """Who is sending, and until when nobody else does."""

    holder: str
    attempt: int
    deadline: datetime


class Recipient(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One recipient's own state; a webhook's only recipient has an empty name."""

    name: str
    state: State = "Pending"
    attempts: int = 0
    possible_duplicate: bool = False
    reason: str = ""
    answer: str = ""
    last_attempt: datetime | None = None


class Status(Struct, frozen=True, rename="camel", omit_defaults=True):
    """``status`` of a delivery.

    Attributes:
        since: when its attempts began: when it was first claimed, or asked for again.
        next_attempt: when the next attempt is due, where there was one.
        redelivery: the last request to deliver it again that was carried out.
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

    @property
    def finished(self) -> bool:
        """Whether nothing more will be done by itself."""
        return self.state in FINISHED


def recorded(recipients: Iterable[str]) -> Status:
    """The state of a delivery whose status nobody has written yet."""
    return Status("Pending", recipients=tuple(Recipient(name) for name in dict.fromkeys(recipients)))


def suppressed(status: Status, reason: str, message: str, now: datetime) -> Status:
    """A delivery that is not sent, and why."""
    return _closed(status, "Suppressed", reason, message, now)


def failed(status: Status, reason: str, message: str, now: datetime) -> Status:
    """A delivery that cannot be sent at all, or not any more."""
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
    """When there is something to do; ``None`` where that is at once, or, if it has finished, never."""
    if status.claim is not None:
        return status.claim.deadline
    return status.next_attempt


def ran_out(status: Status, now: datetime) -> bool:
    """Whether its last attempt neither ended nor may be followed by another."""
    return status.claim is not None and schedule.given_up(status.since or now, now)


def next_batch(status: Status) -> frozenset[str]:
    """The recipients that the next attempt is for: first those that were tried least."""
    waiting = [one for one in status.recipients if one.state not in FINISHED]
    return frozenset(one.name for one in sorted(waiting, key=lambda one: one.attempts)[:AT_ONCE])


def claimed(status: Status, holder: str, now: datetime, seconds: float, *, keyed: bool) -> Status:
    """The delivery claimed by ``holder``: to be written before anything is sent.

    Args:
        status: of a delivery that is due.
        holder: who is going to send.
        now: the time.
        seconds: how long nobody else may claim it.
        keyed: whether the provider tells a repeated message by its key; where it does not, those whose
            last claim ran out without an answer may get it twice.
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
    """The delivery after an attempt; ``None`` where the claim is not the present one any more.

    A recipient without an answer was not tried.

    Args:
        status: as it is now.
        claim: under which the answers were got.
        answers: by recipient.
        now: the time.
        chance: from 0 to 1, for the jitter of the next attempt.
        keyed: as for :func:`claimed`.
    """
    if status.claim is None or (status.claim.holder, status.claim.attempt) != (claim.holder, claim.attempt):
        return None
    began = status.since or now
    given_up = schedule.given_up(began, now)
    recipients = tuple(
        _answered(one, answers.get(one.name), given_up=given_up, keyed=keyed) for one in status.recipients
    )
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


def _answered(recipient: Recipient, answer: Answer | None, *, given_up: bool, keyed: bool) -> Recipient:
    if recipient.state != "Sending":
        return recipient
    if answer is None:
        return structs.replace(recipient, state="Failed" if given_up else "Pending")
    state: State = "Failed" if given_up else "Pending"
    if answer.result == "Accepted":
        state = "Delivered"
    elif answer.result == "Permanent":
        state = "Failed"
    # What is not tried again cannot arrive twice.
    uncertain = answer.result == "Ambiguous" and state == "Pending" and not keyed
    return structs.replace(
        recipient,
        state=state,
        reason=answer.reason,
        answer=_kept(answer.text),
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
    """Reason and words of the first recipient who was not reached; empty where all were."""
    return next(((one.reason, one.text) for one in answers if one.result != "Accepted"), ("", ""))


def redelivered(status: Status, request: str) -> Status:
    """The delivery, to be sent again because somebody asked for it.

    Those who did not get it are tried again; where everybody did, everybody.
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
