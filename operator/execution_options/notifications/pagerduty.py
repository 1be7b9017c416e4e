"""An event of PagerDuty's Events API v2, without its routing key.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from execution_options.notifications.naming import dedup_key
from execution_options.notifications.words import cut, one_line, plain, printable

if TYPE_CHECKING:
    from execution_options.notifications.words import Words

SEVERITIES: Final = {"SUCCEEDED": "info", "FAILED": "error", "ABORTED": "warning", "TIMED_OUT": "error", "TEST": "info"}
MAX_SUMMARY: Final = 1024
MAX_DETAIL: Final = 1024


def event(said: Words) -> dict[str, Any]:
    """A success resolves what an earlier end of the same lineage has opened; every other end, and a test, opens it."""
    ended = said.ended
    if ended.told == "SUCCEEDED":
        return resolution(said)
    cause = f": {one_line(said.error)}" if said.error else ""
    payload = {
        "summary": cut(said.subject + (cause if said.body is None else ""), MAX_SUMMARY),
        "source": f"{ended.namespace}/{ended.name}",
        "severity": SEVERITIES[ended.told],
        "component": ended.engine,
        "group": ended.namespace,
        "class": ended.told,
        "custom_details": _details(said),
    }
    if _is_time(ended.finished_at):
        payload["timestamp"] = ended.finished_at
    made: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": _key(said),
        "payload": payload,
        "client": "execution-options",
    }
    if said.url:
        made["links"] = [{"href": said.url, "text": "Open execution"}]
        made["client_url"] = said.url
    return made


def resolution(said: Words) -> dict[str, Any]:
    """What resolves an incident of the same lineage."""
    return {"event_action": "resolve", "dedup_key": _key(said)}


def _key(said: Words) -> str:
    ended = said.ended
    return dedup_key(ended.lineage or f"{ended.engine}/{ended.namespace}/{ended.name}")


def _details(said: Words) -> dict[str, str]:
    if said.body is not None:
        return {"message": plain(said)}
    details = {name.lower().replace(" ", "_"): value for name, value in said.facts}
    return details | ({"error": cut(printable(said.error), MAX_DETAIL)} if said.error else {})


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
