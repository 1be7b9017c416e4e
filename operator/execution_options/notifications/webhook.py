"""The body of a webhook: a CloudEvent (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from execution_options.notifications.content import plain, printable
from execution_options.notifications.naming import webhook_id

if TYPE_CHECKING:
    from execution_options.notifications.content import Content
    from execution_options.notifications.ended import Ended


def event(content: Content, key: str) -> dict[str, Any]:
    """The CloudEvent for a message.

    Args:
        content: content of the message.
        key: ``namespace/name`` of the delivery.
    """
    ended = content.ended
    group = f"/apis/{ended.api_version}" if "/" in ended.api_version else f"/api/{ended.api_version}"
    place = f"/clusters/{ended.cluster}" if ended.cluster else ""
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": webhook_id(key),
        "source": f"{place}{group}/namespaces/{ended.namespace}/{ended.kind}",
        "type": f"dev.execution.{ended.reported_phase.lower()}",
        "subject": ended.name,
        "datacontenttype": "application/json",
        "data": {
            "phase": ended.reported_phase,
            "engine": ended.engine,
            "apiVersion": ended.api_version,
            "kind": ended.kind,
            "cluster": ended.cluster,
            "namespace": ended.namespace,
            "name": ended.name,
            "uid": ended.uid,
            "id": ended.id,
            "message": printable(content.error),
            "cause": _cause(ended),
            "startedAt": ended.started_at,
            "finishedAt": ended.finished_at,
            "durationSeconds": ended.seconds,
            "launchPlan": ended.launch_plan,
            "lineage": ended.lineage,
            "options": list(content.options),
            "url": content.url,
            "subject": content.subject,
            "text": plain(content),
        },
    }
    if ended.tested:
        made["data"]["test"] = True
    if content.members:
        made["type"] = "dev.execution.group"
        made["data"]["members"] = [
            {"name": printable(one.name), "phase": one.phase, "finishedAt": one.at, "cause": printable(one.cause)}
            for one in content.members
        ]
    if content.recovers:
        made["data"]["recovers"] = True
    try:
        if datetime.fromisoformat(ended.finished_at).tzinfo is not None:
            made["time"] = ended.finished_at
    except ValueError:
        pass
    return made


def _cause(ended: Ended) -> dict[str, Any] | None:
    cause = ended.cause
    if cause is None:
        return None
    return {
        "text": printable(cause.text),
        "pod": cause.pod,
        "container": cause.container,
        "reason": printable(cause.reason),
        "exitCode": cause.exit_code,
        "message": printable(cause.message),
        "failed": cause.failed,
        "pods": cause.pods,
        "logs": cause.command(ended.namespace),
        "log": printable(ended.log),
    }
