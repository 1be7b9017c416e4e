"""An event of PagerDuty's Events API v2, without its routing key.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from execution_options.notifications.content import cut, one_line, plain, printable
from execution_options.notifications.naming import incident_key

if TYPE_CHECKING:
    from execution_options.notifications.content import Content

SEVERITIES: Final = {"SUCCEEDED": "info", "FAILED": "error", "ABORTED": "warning", "TIMED_OUT": "error", "TEST": "info"}
MAX_SUMMARY: Final = 1024
MAX_DETAIL: Final = 1024


def event(content: Content) -> dict[str, Any]:
    """The event for a message. A success resolves the incident of its lineage; any other end, and a test, opens one."""
    ended = content.ended
    if ended.reported_phase == "SUCCEEDED":
        return resolution(content)
    cause = f": {one_line(content.error)}" if content.error else ""
    payload = {
        "summary": cut(content.subject + (cause if content.body is None else ""), MAX_SUMMARY),
        "source": "/".join(filter(None, (ended.cluster, ended.namespace, ended.name))),
        "severity": SEVERITIES[ended.reported_phase],
        "component": ended.engine,
        "group": ended.namespace,
        "class": ended.reported_phase,
        "custom_details": _details(content),
    }
    if _is_time(ended.finished_at):
        payload["timestamp"] = ended.finished_at
    made: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": incident_key(content.ended),
        "payload": payload,
        "client": "execution-options",
    }
    if content.url:
        made["links"] = [{"href": content.url, "text": "Open execution"}]
        made["client_url"] = content.url
    return made


def resolution(content: Content) -> dict[str, Any]:
    """The event that resolves the incident of the same lineage."""
    return {"event_action": "resolve", "dedup_key": incident_key(content.ended)}


def _details(content: Content) -> dict[str, str]:
    if content.body is not None:
        return {"message": plain(content)}
    details = {name.lower().replace(" ", "_"): value for name, value in content.facts}
    more = {"error": content.error, "message": content.detail, "logs": content.logs}
    more["log"] = content.ended.log[-MAX_DETAIL:]
    return details | {name: cut(printable(text), MAX_DETAIL) for name, text in more.items() if text}


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
