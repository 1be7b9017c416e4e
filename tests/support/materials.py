"""Channels, and what they refer to on an API server of a few lines."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.names import CHANNEL_KIND
from execution_options.api.validation import typed
from execution_options.controller.channels.secrets import Materials
from execution_options.kube.client import ApiError
from execution_options.notifications.route import Channel, ChannelKey

SMTP: Final = {
    "host": "smtp.example.com",
    "from": "a@b.c",
    "auth": {
        "usernameSecretRef": {"name": "smtp", "key": "user"},
        "passwordSecretRef": {"name": "smtp", "key": "password"},
    },
    "ca": {"configMapRef": {"name": "authority", "key": "ca.crt"}},
}
"""A mail server that needs a Secret and a ConfigMap."""


def channel(name: str = "mail", namespace: str = "team", **spec: Any) -> Channel:
    """A channel by its spec; by :data:`SMTP` where none is given."""
    return Channel(ChannelKey(namespace, name), typed(spec or {"email": SMTP}, CHANNEL_KIND, NotificationChannelSpec))


class Objects:
    """An API server with some Secrets and ConfigMaps."""

    def __init__(self, refusal: int = 0, **found: dict[str, Any]) -> None:
        self.found = found
        self.refusal = refusal
        self.asked: list[str] = []

    async def get(self, path: str) -> bytes:
        self.asked.append(path)
        if self.refusal:
            raise ApiError(self.refusal, "Refused", "no")
        if (data := self.found.get(path.rpartition("/")[2])) is None:
            raise ApiError(404, "NotFound", "no such object")
        return json.dumps({"data": data}).encode()


def secret(**values: str) -> dict[str, str]:
    """The data of a Secret."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


def materials(objects: Any, clock: Any = lambda: 0.0) -> Materials:
    """Reads from :class:`Objects`."""
    return Materials(objects, "execution-options-system", clock)
