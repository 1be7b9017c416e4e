"""Why a pod failed: its first container that did, or what happened to the pod as a whole.

The fields are those of the pod's status: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.engines.programs import PHASE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_MESSAGE: Final = 500
"""Characters of a message that are kept."""
NEVER_STARTED: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""Reasons for which a container waits that only somebody can change."""


class Terminated(Struct, frozen=True, rename="camel"):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str = ""


class Waiting(Struct, frozen=True):
    """Why a container does not run."""

    reason: str = ""
    message: str = ""


class State(Struct, frozen=True):
    """State of a container; at most one is set."""

    terminated: Terminated | None = None
    waiting: Waiting | None = None


class ContainerStatus(Struct, frozen=True, rename="camel"):
    """What the kubelet says of a container."""

    name: str = ""
    state: State | None = None
    last_state: State | None = None


class Condition(Struct, frozen=True):
    """A condition of a pod."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(Struct, frozen=True, rename="camel"):
    """The part of a pod's status that says why it failed."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Cause(Struct, frozen=True):
    """Why a pod failed.

    Attributes:
        pod: name of the pod.
        container: name of the container; empty: the pod as a whole.
        reason: Kubernetes' word, for example ``OOMKilled``, ``Error`` or ``Evicted``.
        exit_code: of the container; ``None``: it did not end by itself.
        message: what the program or Kubernetes wrote, at most :data:`MAX_MESSAGE` characters; may be empty.
        at: when the container ended, in RFC 3339; empty: not known.
    """

    pod: str
    container: str = ""
    reason: str = ""
    exit_code: int | None = None
    message: str = ""
    at: str = ""

    def __str__(self) -> str:
        """For people, for example ``container main of pod train-x7: OOMKilled (exit code 137)``."""
        where = f"container {self.container} of pod {self.pod}" if self.container else f"pod {self.pod}"
        code = "" if self.exit_code is None else f"exit code {self.exit_code}"
        # Kubernetes' reason for any exit code but 0.
        reason = "" if self.reason == "Error" and code else self.reason
        what = f"{reason} ({code})" if reason and code else reason or code
        return ": ".join(part for part in (where, what, self.message) if part)


def cause_of(pod: str, status: PodStatus) -> Cause | None:
    """Why a pod failed or cannot run; ``None`` where nothing says so.

    What happened to the pod as a whole (``Evicted``, ``DeadlineExceeded``) comes before its containers, which it ended.

    Args:
        pod: name of the pod.
        status: its status.
    """
    if status.phase == "Failed" and status.reason:
        return Cause(pod, reason=status.reason, message=_shortened(status.message))
    disrupted = _condition(status, "DisruptionTarget", "True") if status.phase == "Failed" else None
    if disrupted is not None:
        return Cause(pod, reason=disrupted.reason, message=_shortened(disrupted.message))
    containers = [*(status.init_container_statuses or ()), *(status.container_statuses or ())]
    ended = [cause for one in containers if (cause := _ended(pod, one)) is not None]
    if ended:
        # Others are often killed because the first one failed. What has no time comes last.
        return min(ended, key=lambda cause: (not cause.at, cause.at))
    if status.phase in ("Pending", "Running", ""):
        for one in containers:
            waiting = None if one.state is None else one.state.waiting
            if waiting is not None and waiting.reason in NEVER_STARTED:
                return Cause(pod, one.name, waiting.reason, message=_shortened(waiting.message))
        unscheduled = _condition(status, "PodScheduled", "False")
        if unscheduled is not None and unscheduled.reason == "Unschedulable":
            return Cause(pod, reason="Unschedulable", message=_shortened(unscheduled.message))
    return None


def first_cause(statuses: Mapping[str, PodStatus]) -> Cause | None:
    """The cause of the pod that failed first; pods that have not failed count where none has.

    Args:
        statuses: of the pods of an execution, by name.
    """
    failed = {name: status for name, status in statuses.items() if status.phase == "Failed"}
    causes = _causes(failed) or _causes(statuses)
    return min(causes, key=lambda cause: (not cause.at, cause.at, cause.pod), default=None)


def _causes(statuses: Mapping[str, PodStatus]) -> list[Cause]:
    found: Iterable[Cause | None] = (cause_of(name, status) for name, status in statuses.items())
    return [cause for cause in found if cause is not None]


def _ended(pod: str, container: ContainerStatus) -> Cause | None:
    for state in (container.state, container.last_state):
        terminated = None if state is None else state.terminated
        if terminated is not None and (terminated.exit_code != 0 or terminated.reason == "OOMKilled"):
            # An outcome that a program reports is the execution's message already.
            message = "" if PHASE_KEY in terminated.message else _shortened(terminated.message)
            return Cause(pod, container.name, terminated.reason, terminated.exit_code, message, terminated.finished_at)
    return None


def _condition(status: PodStatus, kind: str, value: str) -> Condition | None:
    return next((one for one in status.conditions or () if (one.type, one.status) == (kind, value)), None)


def _shortened(message: str) -> str:
    text = message.strip()
    # The end of a log says more than its beginning.
    return text if len(text) <= MAX_MESSAGE else f"…{text[1 - MAX_MESSAGE :]}"
