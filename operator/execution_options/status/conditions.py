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
_ABRIDGED: Final = 1024
_WORST_FIRST: Final = ("Ready", "NotificationsRecorded", "NotificationsRouted", "PathsExist", "FullyEffective")
"""Conditions by how much somebody wants to know that they are false; what is not listed comes last."""
_HARMLESS: Final = frozenset({"Selecting"})
"""Conditions that are as their author wants them, whatever they say."""


class Aspect(Struct, frozen=True):
    """A condition before it has a time."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def worst(conditions: Iterable[Condition]) -> WorstCondition | UnsetType:
    """The condition that a person should look at first, of those that say that something is wrong."""
    wrong = [one for one in conditions if one.status == "False" and one.type not in _HARMLESS]
    if not wrong:
        return UNSET
    first = min(wrong, key=lambda one: (*_WORST_FIRST, one.type).index(one.type))
    message = first.message if len(first.message) <= _ABRIDGED else f"{first.message[: _ABRIDGED - 1]}…"
    return WorstCondition(reason=first.reason, message=message)


def written(status: Resource) -> dict[str, Any]:
    """A status as JSON has it, with lists for tuples, as a merge patch: what can go away is null where it is absent."""
    document: dict[str, Any] = decoding.read_object(msgspec.json.encode(status))
    return {"problem": None} | document


def is_written(present: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a stored status says everything that is to be written already."""
    return all(present.get(name) == value for name, value in document.items())


def conditions(
    present: Mapping[str, Any], generation: int, aspects: Iterable[Aspect], now: datetime
) -> tuple[Condition, ...]:
    """The conditions to be, with the transition times of the present ones where nothing changed.

    Conditions that others added stay.
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
    """Whether more than numbers changed: what somebody waits for is not held back."""

    def essence(document: Mapping[str, Any]) -> object:
        conditions = document.get("conditions") or ()
        return (
            document.get("observedGeneration"),
            sorted((str(c.get("type")), str(c.get("status")), str(c.get("reason"))) for c in conditions),
        )

    return essence(present) != essence(wanted)
