"""The variables that templates can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.notifications.ended import Ended


FIELDS: Final = {
    "workflow": ("name", "project", "domain", "version"),
    "launch_plan": ("name", "project", "domain", "version"),
    "cause": ("text", "pod", "container", "reason", "exit_code", "message", "failed", "pods", "logs", "log"),
}
"""Variables with fixed members."""
MAPS: Final = frozenset({"labels"})
"""Variables whose members can have any name."""
LISTS: Final = frozenset({"options"})
VARIABLES: Final = frozenset(
    {
        *("phase", "name", "namespace", "cluster", "engine", "kind", "uid", "id", "error", "message"),
        *("duration", "started_at", "finished_at", "url", "project", "domain"),
        *FIELDS,
        *MAPS,
        *LISTS,
    }
)
"""Names of all variables."""
PAGE_FIELDS: Final = {**FIELDS, "fact": ("name", "value")}
PAGE_VARIABLES: Final = frozenset(
    {*VARIABLES, *("subject", "heading", "body", "text", "quoted", "code", "logs", "key", "fact")}
)
"""Names of all variables of the body of an HTTP request."""


def variables(ended: Ended, options: tuple[str, ...], url: str = "") -> Mapping[str, Any]:
    """The values of the variables, which docs/notifications.md describes.

    ``project``, ``domain``, ``workflow`` and ``launch_plan`` are Flyte's. The project is the label ``project``, or the
    namespace if there is no such label.

    Args:
        ended: the end of an execution.
        options: names of the options that ask for the notification.
        url: link to the execution; empty for none.
    """
    project, domain = ended.labels.get("project", ended.namespace), ended.labels.get("domain", "")
    workflow = ended.lineage.rpartition("/")[2] or ended.name
    version = ended.labels.get("version", "")
    plan = ended.launch_plan.rpartition("/")[2] or workflow
    flytes = {"project": project, "domain": domain, "version": version}
    return {
        "phase": ended.reported_phase,
        "name": ended.name,
        "namespace": ended.namespace,
        "cluster": ended.cluster,
        "engine": ended.engine,
        "kind": ended.kind,
        "uid": ended.uid,
        "id": ended.id,
        "error": "" if ended.reported_phase == "SUCCEEDED" else ended.message,
        "message": ended.message,
        "duration": duration(ended.seconds),
        "started_at": ended.started_at,
        "finished_at": ended.finished_at,
        "labels": ended.labels,
        "options": list(options),
        "url": url,
        "project": project,
        "domain": domain,
        "workflow": {"name": workflow, **flytes},
        "launch_plan": {"name": plan, **flytes},
        "cause": _cause(ended),
    }


def _cause(ended: Ended) -> dict[str, Any]:
    cause = ended.cause
    if cause is None:
        return {}
    return {
        "text": cause.text,
        "pod": cause.pod,
        "container": cause.container,
        "reason": cause.reason,
        "exit_code": "" if cause.exit_code is None else cause.exit_code,
        "message": cause.message,
        "failed": cause.failed,
        "pods": cause.pods,
        "logs": cause.command(ended.namespace),
        "log": ended.log,
    }


def duration(seconds: float | None) -> str:
    """A duration in seconds for people, for example ``1h 02m 03s``; empty if it is not known."""
    if seconds is None:
        return ""
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h {minutes:02}m {left:02}s"
    return f"{minutes}m {left:02}s" if minutes else f"{left}s"
