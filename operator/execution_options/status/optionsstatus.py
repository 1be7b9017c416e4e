"""The status of options, for people and programs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct

from execution_options.admission.findings import ineffective, unrouted
from execution_options.api.status import ExecutionCounts, OptionsStatus, PodCounts
from execution_options.status.conditions import Aspect, conditions, worst, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from execution_options.admission.accountplan import Verdict
    from execution_options.admission.findings import Astray
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.notifications.route import Channels


_BESIDES: Final = "; without effect: "
"""Separates the two parts of a message of ``FullyEffective``."""


class Counts(Struct, frozen=True):
    """Numbers of executions and pods of some options.

    Attributes:
        active: executions with these options that have not ended.
        finished: executions with these options that have ended.
        missed: executions that were created past the webhook.
        running: running pods whose parallelism these options limit.
        waiting: pods that wait because of that limit.
    """

    active: int = 0
    finished: int = 0
    missed: int = 0
    running: int = 0
    waiting: int = 0


def ready(verdicts: Iterable[Verdict], role_problem: str = "") -> Aspect:
    """The condition ``Ready``: whether the options work as written.

    Args:
        verdicts: results for their service accounts.
        role_problem: what is wrong with their cloud role; empty for nothing.
    """
    if role_problem:
        return Aspect("Ready", "False", "InvalidIamRole", role_problem)
    ordered = sorted(verdicts, key=lambda verdict: verdict.works)
    if not ordered:
        return Aspect("Ready", "True", "Applied", "the options are applied to new executions")
    message = "; ".join(verdict.message for verdict in ordered)
    return Aspect("Ready", "True" if ordered[0].works else "False", ordered[0].reason, message)


def invalid(problem: str) -> Aspect:
    """The condition ``Ready`` of options that this version cannot understand, with the problem."""
    return Aspect("Ready", "False", "InvalidSpec", f"no execution gets these options: {problem}")


def outcome_unknown(engine: Engine, name: str, remedy: str) -> str:
    """The message that successes of an engine are not notified.

    Args:
        engine: the engine.
        name: name of an execution of it.
        remedy: what to change.
    """
    return (
        f"ends of {engine.kind}s such as {name} are not notified as SUCCEEDED: they exit with 0 whatever the "
        f"result of their program is, and it does not report its result; {remedy}"
    )


def stored_outcome_unknown(present: Mapping[str, Any]) -> str:
    """The message of a stored status about ends that are not notified; empty if there is none."""
    listed = present.get("conditions")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("reason") == "OutcomeUnknown":
            return str(one.get("message")).partition(_BESIDES)[0]
    return ""


def fully_effective(
    options: OptionsObject,
    engines: Mapping[str, Engine],
    astray: Astray,
    repository_problem: str = "",
    unknown: str = "",
) -> Aspect:
    """The condition ``FullyEffective``: whether every field of the options has an effect.

    Args:
        options: the options.
        engines: all engines by name.
        astray: paths of engines that lead nowhere.
        repository_problem: why the artifact repository of their namespace cannot be used; empty if it can.
        unknown: which ends are not notified because their result is unknown; empty if there are none.
    """
    found = ineffective(options, engines, astray)
    wholly = found.wholly
    if repository_problem and options.output_location_prefix:
        where = "spec.rawOutputDataConfig.outputLocationPrefix on Argo's artifacts"
        wholly = [*wholly, f"{where}: {repository_problem}"]
    if unknown:
        besides = f"{_BESIDES}{'; '.join(wholly)}" if wholly else ""
        return Aspect("FullyEffective", "False", "OutcomeUnknown", f"{unknown}{besides}")
    if not wholly:
        return Aspect("FullyEffective", "True", "EveryFieldHasEffect", "; ".join(found.partly))
    return Aspect("FullyEffective", "False", "FieldsWithoutEffect", f"without effect: {'; '.join(wholly)}")


def selecting(options: OptionsObject) -> Aspect:
    """The condition ``Selecting``: whether the options select executions by themselves."""
    if options.spec.selector is UNSET:
        message = (
            "there is no selector: only executions that refer to these options get them "
            f"(annotation execution.dev/options: {'cluster/' if options.namespace is None else ''}{options.name})"
        )
        return Aspect("Selecting", "False", "OnlyByReference", message)
    return Aspect("Selecting", "True", "HasSelector", "")


def notifications_routed(options: OptionsObject, channels: Channels) -> Aspect:
    """The condition ``NotificationsRouted``: whether a channel reaches every recipient.

    Args:
        options: the options.
        channels: channels that their notifications can use.
    """
    given = options.spec.notifications
    if given is UNSET or not given:
        return Aspect("NotificationsRouted", "True", "NoNotifications", "")
    found = unrouted(options, channels)
    if not found:
        return Aspect("NotificationsRouted", "True", "Routed", "")
    return Aspect("NotificationsRouted", "False", found[0][1], "; ".join(message for message, _ in found))


def admission(counts: Counts) -> Aspect:
    """The condition ``AdmissionComplete``: whether every execution got the options at its admission."""
    if not counts.missed:
        return Aspect("AdmissionComplete", "True", "NoneMissed", "")
    were = "1 execution was" if counts.missed == 1 else f"{counts.missed} executions were"
    message = f"{were} created past the webhook; Events say what is lacking"
    return Aspect("AdmissionComplete", "False", "AdmissionMissed", message)


def status(
    present: Mapping[str, Any], generation: int, aspects: Iterable[Aspect], counts: Counts, now: datetime
) -> dict[str, Any]:
    """The status to write, as JSON.

    Args:
        present: the stored status.
        generation: generation of the options.
        aspects: their conditions.
        counts: numbers of executions and pods.
        now: the current time.
    """
    # A merge patch can replace numbers once they are written, but not remove them.
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
