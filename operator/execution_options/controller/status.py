"""The status of options: what a person and a program should know of them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from execution_options.admission.findings import ineffective, unrouted
from execution_options.api import decoding
from execution_options.api.status import Condition, ExecutionCounts, OptionsStatus, PodCounts, WorstCondition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.admission.findings import Astray
    from execution_options.api.base import Resource
    from execution_options.api.resources import OptionsObject
    from execution_options.controller.accounts import Verdict
    from execution_options.engines.profile import Engine
    from execution_options.notifications.route import Channels

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


class Counts(Struct, frozen=True):
    """Executions in which options take part; ``missed`` of them were created past the webhook.

    ``running`` and ``waiting`` are pods of theirs whose parallelism these options limit.
    """

    active: int = 0
    finished: int = 0
    missed: int = 0
    running: int = 0
    waiting: int = 0


def ready(verdicts: Iterable[Verdict], role_problem: str = "") -> Aspect:
    """Whether the options work as written."""
    if role_problem:
        return Aspect("Ready", "False", "InvalidIamRole", role_problem)
    ordered = sorted(verdicts, key=lambda verdict: verdict.works)
    if not ordered:
        return Aspect("Ready", "True", "Applied", "the options are applied to new executions")
    message = "; ".join(verdict.message for verdict in ordered)
    return Aspect("Ready", "True" if ordered[0].works else "False", ordered[0].reason, message)


def invalid(problem: str) -> Aspect:
    """Options that this version cannot understand."""
    return Aspect("Ready", "False", "InvalidSpec", f"no execution gets these options: {problem}")


def fully_effective(
    options: OptionsObject, engines: Mapping[str, Engine], astray: Astray, repository_problem: str = ""
) -> Aspect:
    """Whether everything that the options say has an effect.

    Args:
        options: the options.
        engines: all that there are.
        astray: what is written astray among them.
        repository_problem: why the artifact repository of their namespace cannot be used; empty where it can.
    """
    found = ineffective(options, engines, astray)
    wholly = found.wholly
    if repository_problem and options.output_location_prefix:
        where = "spec.rawOutputDataConfig.outputLocationPrefix on Argo's artifacts"
        wholly = [*wholly, f"{where}: {repository_problem}"]
    if not wholly:
        return Aspect("FullyEffective", "True", "EveryFieldHasEffect", "; ".join(found.partly))
    return Aspect("FullyEffective", "False", "FieldsWithoutEffect", f"without effect: {'; '.join(wholly)}")


def selecting(options: OptionsObject) -> Aspect:
    """Whether the options select executions by themselves."""
    if options.spec.selector is UNSET:
        message = (
            "there is no selector: only executions that refer to these options get them "
            f"(annotation execution.dev/options: {'cluster/' if options.namespace is None else ''}{options.name})"
        )
        return Aspect("Selecting", "False", "OnlyByReference", message)
    return Aspect("Selecting", "True", "HasSelector", "")


def notifications_routed(options: OptionsObject, channels: Channels) -> Aspect:
    """Whether a channel reaches every recipient of the notifications."""
    given = options.spec.notifications
    if given is UNSET or not given:
        return Aspect("NotificationsRouted", "True", "NoNotifications", "")
    found = unrouted(options, channels)
    if not found:
        return Aspect("NotificationsRouted", "True", "Routed", "")
    return Aspect("NotificationsRouted", "False", found[0][1], "; ".join(message for message, _ in found))


def admission(counts: Counts) -> Aspect:
    """Whether every execution got the options at its admission."""
    if not counts.missed:
        return Aspect("AdmissionComplete", "True", "NoneMissed", "")
    were = "1 execution was" if counts.missed == 1 else f"{counts.missed} executions were"
    message = f"{were} created past the webhook; Events say what is lacking"
    return Aspect("AdmissionComplete", "False", "AdmissionMissed", message)


def status(
    present: Mapping[str, Any], generation: int, aspects: Iterable[Aspect], counts: Counts, now: datetime
) -> dict[str, Any]:
    """The status to be, as it is written."""
    # Once written, a number can only be replaced.
    has_pods = bool(counts.running or counts.waiting or "pods" in present)
    found = conditions(present, generation, aspects, now)
    wanted = OptionsStatus(
        observed_generation=generation,
        conditions=found,
        problem=worst(found),
        executions=ExecutionCounts(active=counts.active, finished=counts.finished),
        pods=PodCounts(running=counts.running, waiting=counts.waiting) if has_pods else UNSET,
    )
    return written(wanted)


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
