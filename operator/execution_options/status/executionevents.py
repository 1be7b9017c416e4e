"""The Events on executions. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from execution_options.admission import edit, repair
from execution_options.api.names import MISSED_ANNOTATION
from execution_options.engines.authors import notes
from execution_options.status.events import Announcement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.admission.edit import State
    from execution_options.api.meta import ObjectMeta
    from execution_options.options.live import Left


NEWS: Final = timedelta(minutes=30)
"""Oldest admission that is still reported. The API server forgets events after an hour, and each is posted once."""


def admission_notes(metadata: ObjectMeta, now: datetime) -> Iterator[Announcement]:
    """What was overridden or kept at admission, and what the repair of a missed execution could not change.

    Args:
        metadata: of an execution with options.
        now: the current time.

    Raises:
        InvalidSnapshotError: its snapshot cannot be read.
        InvalidLiveError: the record of its edits cannot be read.
    """
    state = edit.state(metadata)
    noticed = (metadata.annotations or {}).get(MISSED_ANNOTATION)
    if not _is_news(noticed or metadata.creation_timestamp, now):
        return
    if noticed is not None:
        yield missed_note(state)
    applied = applied_note(state, repaired=noticed is not None)
    if applied is not None:
        yield applied


def applied_note(state: State, *, repaired: bool = False) -> Announcement | None:
    """Which of the author's values the options replaced or kept; ``None`` if none.

    Args:
        state: state of the execution.
        repaired: whether it was created past the webhook, so that only its own metadata could be changed.
    """
    authored = state.snapshot.authored
    if repaired:
        authored = {at: written for at, written in authored.items() if at.startswith("/metadata/")}
    texts = notes(authored, state.frozen)
    return Announcement("Normal", "OptionsApplied", "Admit", "; ".join(texts)) if texts else None


def left_note(left: tuple[Left, ...], where: str = "") -> Announcement:
    """Values that the options would change, but that somebody else has changed."""
    text = "; ".join(
        f"{one.key} stays {_shown(one)}, as somebody else left it; "
        f"options want {'it absent' if one.wanted is None else repr(one.wanted)}"
        for one in left
    )
    return Announcement("Normal", "OptionsLeft", "Follow", where + text)


def restored_note(restored: tuple[Left, ...]) -> Announcement:
    """Enforced values of pods were changed and written again; no pod is named, so that many pods make one Event."""
    text = "; ".join(f"{one.key} was {_shown(one)}, not {one.wanted!r}" for one in restored)
    return Announcement("Warning", "EnforcedRestored", "Enforce", f"pods get again what is enforced: {text}")


def unenforced_note(why: str) -> Announcement:
    """A pod lacks what is enforced and cannot be corrected; it is not named, so that many pods make one Event."""
    return Announcement("Warning", "EnforcedMissing", "Enforce", why)


def refused_note(why: str, where: str = "") -> Announcement:
    """An edit is refused by a policy or by another webhook."""
    return Announcement("Warning", "OptionsNotFollowed", "Follow", f"{where}it stays as it is: {why}")


def broken_note(why: str) -> Announcement:
    """An edit cannot be recorded at an execution."""
    return Announcement("Warning", "OptionsNotFollowed", "Follow", why)


def unlabelled_note(why: str) -> Announcement:
    """A pod of an execution with a limit was created past the webhook, and does not get the label."""
    return Announcement("Warning", "LabelRefused", "Count", why)


def unreadable_note(problem: str) -> Announcement:
    """An execution cannot be decoded, so the operator does nothing for it."""
    note = f"the operator cannot read this object and does nothing for it: {problem}"
    return Announcement("Warning", "ObjectUnreadable", "Read", note)


def left_out_note(why: str) -> Announcement:
    """Options apply to an execution that was created without them."""
    return Announcement("Warning", "OptionsLeftOut", "Admit", f"it gets no options: {why}")


def unrepaired_note(why: str) -> Announcement:
    """An execution that was created past the webhook stays without what it lacks."""
    return Announcement("Warning", "AdmissionMissed", "Repair", f"it was created past the webhook, {why}")


def missed_note(state: State) -> Announcement:
    """What the repair of an execution that the webhook missed could change, and what not."""
    lacking = repair.unrepaired(state.frozen, state.snapshot.authored)
    note = "it was created past the webhook"
    if state.frozen.labels or state.frozen.annotations:
        note += "; its own labels and annotations were set afterwards"
    if lacking:
        note += f", what is fixed at creation was not: {', '.join(lacking)}; create it again to get that too"
    return Announcement("Warning", "AdmissionMissed", "Repair", note)


def _shown(one: Left) -> str:
    return "absent" if one.value is None else repr(one.value)


def _is_news(at: str | None, now: datetime) -> bool:
    try:
        return at is not None and now - datetime.fromisoformat(at) < NEWS
    except (ValueError, TypeError):
        return False
