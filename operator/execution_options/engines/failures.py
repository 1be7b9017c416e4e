"""Why a pod has failed, or cannot start, by its status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, structs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

MAX_MESSAGE: Final = 1024
"""Characters of a message that are kept: every failed pod has one."""
MAX_REASON: Final = 128
"""Characters of a reason that are kept, which a controller can choose freely."""
MAX_CONTAINER: Final = 63
"""Longest name of a container: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""
KILLED: Final = frozenset({137, 143})
"""Exit codes of programs that were ended by SIGKILL or SIGTERM."""
STUCK: Final = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "RunContainerError",
    }
)
"""Reasons for which a container waits that waiting alone does not end.

https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/images/types.go and
https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/container/sync_result.go
"""

Logs = Literal["", "current", "previous"]


class Failure(Struct, frozen=True):
    """Why a pod has failed, or cannot start.

    Attributes:
        pod: name of the pod.
        container: name of the container; empty if the whole pod failed, as one that was evicted.
        reason: one word: OOMKilled, Error, Evicted, ImagePullBackOff, …
        exit_code: of the container's program; ``None`` if it never ran.
        message: the container's termination message, or what Kubernetes says.
        at: when it failed (RFC 3339); empty if that is not known.
        ended: whether the pod has ended by it; otherwise the pod only cannot start.
        logs: whether the container has logs, and of which of its runs.
    """

    pod: str
    container: str = ""
    reason: str = ""
    exit_code: int | None = None
    message: str = ""
    at: str = ""
    ended: bool = True
    logs: Logs = ""

    def __post_init__(self) -> None:
        longest = {"container": MAX_CONTAINER, "reason": MAX_REASON, "message": MAX_MESSAGE}
        for name, size in longest.items():
            structs.force_setattr(self, name, getattr(self, name)[:size])

    @property
    def place(self) -> tuple[bool, bool, str, str]:
        """Its place among the failures of an execution: what ended a pod comes first, then the earliest."""
        return (not self.ended, not self.at, self.at, self.pod)


def failure_of(
    pod: str, status: Mapping[str, Any], *, deleted_at: str = "", silent: Collection[str] = ()
) -> Failure | None:
    """Why a pod has failed or cannot start; ``None`` if neither is known.

    A pod that was ended by its deletion has not failed, unless it was evicted or preempted.

    Args:
        pod: its name.
        status: its ``status``.
        deleted_at: when its deletion was requested (RFC 3339); empty if it was not.
        silent: containers whose termination message may be the end of their log, which is not for everybody.
    """
    if status.get("phase") == "Failed":
        return _ended(pod, status, deleted_at, silent)
    if status.get("phase") == "Succeeded":
        return None
    return _stuck(pod, status, silent)


def _ended(pod: str, status: Mapping[str, Any], deleted_at: str, silent: Collection[str]) -> Failure | None:
    disruption = _condition(status, "DisruptionTarget", "True")
    reason = _text(status, "reason") or _text(disruption, "reason")
    found = sorted(
        (one for one in (_terminated(pod, each, silent) for each in _containers(status)) if one is not None),
        key=lambda one: (not one.at, one.at, one.reason != "OOMKilled"),
    )
    own = next((one for one in found if not _by_deletion(one, deleted_at)), None)
    if reason and (own is None or not disruption):
        message = _text(status, "message") or _text(disruption, "message")
        at = found[0].at if found else _text(disruption, "lastTransitionTime")
        logs: Logs = found[0].logs if found else ""
        return Failure(pod, found[0].container if found else "", reason, None, message, at, logs=logs)
    if own is not None or found or deleted_at:
        return own
    return Failure(pod, message=_text(status, "message"))


def _by_deletion(failure: Failure, deleted_at: str) -> bool:
    """Whether a container ended because its pod was deleted."""
    if not deleted_at or failure.reason == "OOMKilled":
        return False
    return failure.at > deleted_at or (failure.at == deleted_at and failure.exit_code in KILLED)


def _terminated(pod: str, container: Mapping[str, Any], silent: Collection[str]) -> Failure | None:
    """The failure of a container whose program ended with another code than 0."""
    state = _object(_object(container, "state"), "terminated")
    logs: Logs = "current"
    if not state:
        state, logs = _object(_object(container, "lastState"), "terminated"), "previous"
    code, name = state.get("exitCode"), _text(container, "name")
    if not isinstance(code, int) or code == 0:
        return None
    message = "" if name in silent else _text(state, "message")
    return Failure(pod, name, _text(state, "reason"), code, message.strip(), _text(state, "finishedAt"), logs=logs)


def _stuck(pod: str, status: Mapping[str, Any], silent: Collection[str]) -> Failure | None:
    for container in _containers(status):
        waiting = _object(_object(container, "state"), "waiting")
        reason = _text(waiting, "reason")
        if reason not in STUCK:
            continue
        last = _terminated(pod, container, silent)
        message = (last.message if last is not None else "") or _text(waiting, "message")
        return Failure(
            pod,
            _text(container, "name"),
            reason,
            None if last is None else last.exit_code,
            message,
            ended=False,
            logs="" if last is None else "previous",
        )
    scheduled = _condition(status, "PodScheduled", "False")
    if _text(scheduled, "reason") == "Unschedulable":
        return Failure(pod, "", "Unschedulable", None, _text(scheduled, "message"), ended=False)
    return None


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for field in ("initContainerStatuses", "containerStatuses"):
        statuses = status.get(field)
        yield from (one for one in (statuses if isinstance(statuses, list) else ()) if isinstance(one, dict))


def _condition(status: Mapping[str, Any], kind: str, value: str) -> Mapping[str, Any]:
    conditions = status.get("conditions")
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, dict) and one.get("type") == kind and one.get("status") == value:
            return one
    return {}


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(parent: Mapping[str, Any], name: str) -> str:
    value = parent.get(name)
    return value if isinstance(value, str) else ""
