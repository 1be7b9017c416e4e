"""The status of options: what a person and a program should know of them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct

from execution_options.api import decoding
from execution_options.api.status import Condition, ExecutionCounts, OptionsStatus, PodCounts
from execution_options.engines.effects import effects, partial_effects
from execution_options.notifications.checks import template_problems
from execution_options.notifications.route import Unrouted, destinations
from execution_options.options.levels import Level, Source, Sourced

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from execution_options.api.base import Resource
    from execution_options.api.resources import OptionsObject
    from execution_options.controller.accounts import Verdict
    from execution_options.engines.profile import Engine
    from execution_options.notifications.route import Channels

MAX_MESSAGE: Final = 4096

_WITHOUT_EFFECT: Final[tuple[str, ...]] = ()
"""Fields that are accepted and kept in snapshots, but that nothing acts upon in this version."""


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


def fully_effective(options: OptionsObject, engines: Collection[Engine]) -> Aspect:
    """Whether everything that the options say has an effect."""
    names = zip(options.spec.__struct_fields__, options.spec.__struct_encode_fields__, strict=True)
    fields = [f"spec.{written}" for name, written in names if name in _WITHOUT_EFFECT and _said(options, name)]
    partly: list[str] = []
    selector = options.spec.selector
    if selector is not UNSET:
        known = {engine.name: engine for engine in engines}
        plans = {plan.kind for engine in engines for plan in engine.launch_plans}
        listed = () if selector.engines is UNSET else selector.engines
        fields += [f"spec.selector.engines: {name} is no known engine" for name in listed if name not in known]
        if selector.launched_by is not UNSET and selector.launched_by.kind not in plans:
            fields.append(f"spec.selector.launchedBy: {selector.launched_by.kind} launches no known execution")
        meant = [known[name] for name in listed if name in known]
        fields += [f"spec.{field} on {', '.join(lacking)}" for field, lacking, _ in effects(options.spec, meant)]
        partly += partial_effects(options.spec, meant)
    fields += [str(problem) for problem in template_problems(options.kind, msgspec.to_builtins(options.spec))]
    fields += [f"{path} is unknown to this version" for path in options.unknown_fields]
    if not fields:
        # Without a list of engines nobody asked for an effect on each of them.
        partly += [
            f"spec.{field} has an effect only on {', '.join(having)}"
            for field, _, having in effects(options.spec, () if _names_engines(options) else engines)
        ]
        return Aspect("FullyEffective", "True", "EveryFieldHasEffect", "; ".join(partly))
    return Aspect("FullyEffective", "False", "FieldsWithoutEffect", f"without effect: {'; '.join(fields)}")


def _names_engines(options: OptionsObject) -> bool:
    return options.spec.selector is not UNSET and bool(options.spec.selector.engines)


def _said(options: OptionsObject, name: str) -> bool:
    value = getattr(options.spec, name)
    return value is not UNSET and value != ()


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
    level = Level.CLUSTER_DEFAULT if options.namespace is None else Level.NAMESPACE_DEFAULT
    source = Source(level, options.kind, options.name, options.uid)
    unrouted = [
        (f"spec.notifications[{number}]: {found.message}", found.reason)
        for number, notification in enumerate(given)
        for found in destinations(Sourced(notification, source), channels)
        if isinstance(found, Unrouted)
    ]
    if not unrouted:
        return Aspect("NotificationsRouted", "True", "Routed", "")
    message = "; ".join(message for message, _ in unrouted)
    return Aspect("NotificationsRouted", "False", unrouted[0][1], message)


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
    wanted = OptionsStatus(
        observed_generation=generation,
        conditions=conditions(present, generation, aspects, now),
        executions=ExecutionCounts(active=counts.active, finished=counts.finished),
        pods=PodCounts(running=counts.running, waiting=counts.waiting) if has_pods else UNSET,
    )
    return written(wanted)


def written(status: Resource) -> dict[str, Any]:
    """A status as JSON has it, with lists for tuples, so that it can be compared with what is stored."""
    document: dict[str, Any] = decoding.read_object(msgspec.json.encode(status))
    return document


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
