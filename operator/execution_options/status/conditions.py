"""Conditions as Kubernetes writes them into the status of any object. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from execution_options.api import decoding
from execution_options.api.status import Condition, WorstCondition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.api.base import Resource


MAX_MESSAGE: Final = 4096
_MAX_PROBLEM: Final = 1024
_WORST_FIRST: Final = (
    *("Ready", "Enforced", "NotificationsRecorded", "NotificationsRouted", "PathsExist", "FullyEffective"),
)
"""Conditions by urgency if they are false. Others come last."""
_HARMLESS: Final = frozenset({"Selecting"})
"""Conditions that are no problem if they are false."""


class Aspect(Struct, frozen=True):
    """A condition before it has a time."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def worst(conditions: Iterable[Condition]) -> WorstCondition | UnsetType:
    """The most urgent condition that says that something is wrong; unset if nothing is."""
    wrong = [one for one in conditions if one.status == "False" and one.type not in _HARMLESS]
    if not wrong:
        return UNSET
    first = min(wrong, key=lambda one: (*_WORST_FIRST, one.type).index(one.type))
    message = first.message if len(first.message) <= _MAX_PROBLEM else f"{first.message[: _MAX_PROBLEM - 1]}…"
    return WorstCondition(reason=first.reason, message=message)


def written(status: Resource) -> dict[str, Any]:
    """A status as a JSON merge patch, with null for fields that must be removed."""
    document: dict[str, Any] = decoding.read_object(msgspec.json.encode(status))
    return {"problem": None} | document


def is_written(present: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a stored status already has everything that is to be written.

    Args:
        present: the stored status.
        document: the status to write.
    """
    return all(present.get(name) == value for name, value in document.items())


def conditions(
    present: Mapping[str, Any], generation: int, aspects: Iterable[Aspect], now: datetime
) -> tuple[Condition, ...]:
    """The conditions to write. A transition time is kept if the status of its condition did not change.

    Args:
        present: the stored status. Conditions in it that others wrote are kept.
        generation: generation of the object.
        aspects: our conditions.
        now: the current time.
    """
    listed = present.get("conditions")
    known = {c["type"]: c for c in listed if isinstance(c, dict) and "type" in c} if isinstance(listed, list) else {}
    found: list[Condition] = []
    for aspect in aspects:
        old = known.pop(aspect.type, {})
        since = old.get("lastTransitionTime") if old.get("status") == aspect.status else None
        found.append(
            Condition(
                type=aspect.type,
                status=aspect.status,
                reason=aspect.reason,
                message=aspect.message[:MAX_MESSAGE],
                last_transition_time=_time(since) or now.astimezone(UTC).replace(microsecond=0),
                observed_generation=generation,
            )
        )
    for other in known.values():
        try:
            found.append(msgspec.convert(other, Condition))
        except msgspec.ValidationError:
            continue
    return tuple(found)


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def is_urgent(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether conditions changed, so that the write must not be delayed as a change of mere numbers can be.

    Args:
        present: the stored status.
        wanted: the status to write.
    """

    def essence(document: Mapping[str, Any]) -> object:
        conditions = document.get("conditions") or ()
        return (
            document.get("observedGeneration"),
            sorted((str(c.get("type")), str(c.get("status")), str(c.get("reason"))) for c in conditions),
        )

    return essence(present) != essence(wanted)
