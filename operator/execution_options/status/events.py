"""Events on objects, as the operator posts them. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from datetime import datetime

    from execution_options.api.meta import ObjectMeta
    from execution_options.engines.profile import Engine

MAX_NOTE: Final = 1024
"""Most bytes of a note that the API server accepts."""
COMPONENT: Final = "execution.dev/controller"
CLUSTER_EVENTS: Final = "default"
"""Namespace of events about objects that have none."""


class Announcement(Struct, frozen=True):
    """The content of an event; the same content is posted on an object only once."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


class Regarding(NamedTuple):
    """The object that an event is about; ``namespace`` is empty for one of the cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, engine: Engine, metadata: ObjectMeta) -> Regarding:
        """An execution."""
        version = f"{engine.group}/{engine.version}" if engine.group else engine.version
        return cls(version, engine.kind, metadata.namespace, metadata.name, metadata.uid)


def event(regarding: Regarding, content: Announcement, instance: str, now: datetime) -> dict[str, Any]:
    """Return the Event object. Its name follows from its content, so that it is not posted again after a restart.

    Args:
        regarding: the object that it is about.
        content: its content.
        instance: name of the process that posts it.
        now: the current time.
    """
    digest = hashlib.sha256(f"{regarding.uid}/{content.reason}/{content.note}".encode()).hexdigest()[:16]
    note = content.note if len(content.note.encode()) <= MAX_NOTE else _cut(content.note)
    reference = {
        "apiVersion": regarding.api_version,
        "kind": regarding.kind,
        "name": regarding.name,
        "uid": regarding.uid,
    } | ({"namespace": regarding.namespace} if regarding.namespace else {})
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        # Names of objects may have 253 characters, and so may this one.
        "metadata": {
            "name": f"{regarding.name[:236]}.{digest}",
            "namespace": regarding.namespace or CLUSTER_EVENTS,
        },
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": COMPONENT,
        "reportingInstance": instance[:128],
        "type": content.type,
        "reason": content.reason,
        "action": content.action,
        "note": note,
        "regarding": reference,
    }


def _cut(note: str) -> str:
    return note.encode()[: MAX_NOTE - 3].decode(errors="ignore") + "…"
