"""Messages about executions and pods that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.api.names import GATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from execution_options.parallelism.slots import Pod, Slots

MAX_NAMED: Final = 3
UNKNOWN: Final = "not released yet: its execution is not known"


def lines(slots: Slots) -> Iterator[tuple[Pod, str]]:
    """Each waiting pod with its message, in the order of release. Nothing may change during the iteration."""
    in_use, blocked = _in_use(slots), _blocked(slots)
    for place, pod in enumerate(slots.line(), 1):
        if pod.held_otherwise:
            yield pod, "waiting for other scheduling gates to be removed, then for a parallelism slot"
        else:
            yield pod, f"waiting for a parallelism slot: {in_use}, {ordinal(place)} in line{blocked}"


def unread_text(kinds: Iterable[str]) -> str:
    """The message of a pod whose execution is unknown because objects of these kinds cannot be read."""
    return f"{UNKNOWN}, and {_named(sorted(kinds))} cannot be read"


def unlabelled_text(pod: str, reason: str) -> str:
    """The message about a running pod whose label was refused.

    Args:
        pod: name of the pod.
        reason: the text of the refusal.
    """
    return f"pod {pod} takes no slot, because its label {GATE} was refused: {reason}"


def execution_text(slots: Slots) -> str:
    """The message about the waiting pods of an execution."""
    pods = "1 pod waits" if slots.waiting == 1 else f"{slots.waiting} pods wait"
    return f"{pods} for a parallelism slot: {_in_use(slots)}{_blocked(slots)}"


def over_text(slots: Slots) -> str:
    """The message that more pods run than the cap allows; empty if that is not so."""
    if slots.cap is None or slots.used <= slots.cap:
        return ""
    skipped = skipping(slots)
    if not skipped:
        return f"{_in_use(slots)}: the limit was lowered, or others removed gates; none is released until it fits"
    return f"{_in_use(slots)}: created past the webhook or on a node, these did not wait: {_named(skipped)}"


def skipping(slots: Slots) -> list[str]:
    """Names of the running pods that never waited."""
    return sorted(pod.name for pod in slots.users() if pod.skipped)


def quota_text(quota: str, used: str, *, refused: bool) -> str:
    """The message that waiting pods use up a quota.

    Args:
        quota: name of the ResourceQuota.
        used: the resources that are nearly used, and how much of them.
        refused: whether more pods are refused.
    """
    text = f"pods that wait for a parallelism slot count against ResourceQuota {quota}, which is nearly used: {used}"
    if not refused:
        return text
    return f"{text}; more pods of this execution that need any of it are refused until fewer wait or less is used"


def _in_use(slots: Slots) -> str:
    return f"{slots.used} in use" if slots.cap is None else f"{slots.used} of {slots.cap} in use"


def _blocked(slots: Slots) -> str:
    """The part of a message about pods that have a slot but cannot be scheduled."""
    names = sorted(pod.name for pod in slots.users() if pod.unschedulable)
    return f"; the scheduler finds no place for {_named(names)}" if names else ""


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMED])
    return shown if len(names) <= MAX_NAMED else f"{shown} and {len(names) - MAX_NAMED} more"


def ordinal(number: int) -> str:
    """A number as ``1st``, ``2nd``, ``3rd``, ``11th`` …"""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
