"""The status of options: what a person and a program should know of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
