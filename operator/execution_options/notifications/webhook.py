"""The body of a webhook: a CloudEvent (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from execution_options.notifications.naming import webhook_id
from execution_options.notifications.words import plain, printable

if TYPE_CHECKING:
    from execution_options.notifications.words import Words


def event(said: Words, key: str) -> dict[str, Any]:
    """The event; ``key`` is ``namespace/name`` of the delivery."""
    ended = said.ended
    group = f"/apis/{ended.api_version}" if "/" in ended.api_version else f"/api/{ended.api_version}"
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": webhook_id(key),
        "source": f"{group}/namespaces/{ended.namespace}/{ended.kind}",
        "type": f"dev.execution.{ended.told.lower()}",
        "subject": ended.name,
        "datacontenttype": "application/json",
        "data": {
            "phase": ended.told,
            "engine": ended.engine,
            "apiVersion": ended.api_version,
            "kind": ended.kind,
            "namespace": ended.namespace,
            "name": ended.name,
            "uid": ended.uid,
            "id": ended.id,
            "message": printable(said.error),
            "startedAt": ended.started_at,
            "finishedAt": ended.finished_at,
            "durationSeconds": ended.seconds,
            "launchPlan": ended.launch_plan,
            "lineage": ended.lineage,
            "options": list(said.options),
            "url": said.url,
            "subject": said.subject,
            "text": plain(said),
        },
    }
    if ended.tested:
        made["data"]["test"] = True
    try:
        if datetime.fromisoformat(ended.finished_at).tzinfo is not None:
            made["time"] = ended.finished_at
    except ValueError:
        pass
    return made
