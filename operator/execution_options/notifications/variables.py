"""What templates can say of an execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.notifications.ended import Ended


FIELDS: Final = {
    "workflow": ("name", "project", "domain", "version"),
    "launch_plan": ("name", "project", "domain", "version"),
}
"""Variables with members, and these."""
MAPS: Final = frozenset({"labels"})
"""Variables with members of any name."""
LISTS: Final = frozenset({"options"})
VARIABLES: Final = frozenset(
    {
        *("phase", "name", "namespace", "engine", "kind", "uid", "id", "error", "message"),
        *("duration", "started_at", "finished_at", "url", "project", "domain"),
        *FIELDS,
        *MAPS,
        *LISTS,
    }
)
"""All of them."""


def variables(ended: Ended, options: tuple[str, ...], url: str = "") -> Mapping[str, Any]:
    """The variables of templates, documented in docs/notifications.md.

    Those after ``url`` are Flyte's, whose project is here the label ``project`` or else the namespace.

    Args:
        ended: what happened.
        options: the options objects that ask for the notification.
        url: link to the execution; empty where there is none.
    """
    project, domain = ended.labels.get("project", ended.namespace), ended.labels.get("domain", "")
    workflow = ended.lineage.rpartition("/")[2] or ended.name
    version = ended.labels.get("version", "")
    plan = ended.launch_plan.rpartition("/")[2] or workflow
    flytes = {"project": project, "domain": domain, "version": version}
    return {
        "phase": ended.told,
        "name": ended.name,
        "namespace": ended.namespace,
        "engine": ended.engine,
        "kind": ended.kind,
        "uid": ended.uid,
        "id": ended.id,
        "error": "" if ended.told == "SUCCEEDED" else ended.message,
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
    }


def duration(seconds: float | None) -> str:
    """For people, for example ``1h 02m 03s``; empty where it is not known."""
    if seconds is None:
        return ""
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h {minutes:02}m {left:02}s"
    return f"{minutes}m {left:02}s" if minutes else f"{left}s"
