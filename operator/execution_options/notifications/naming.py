"""Names and keys that follow from what is notified, so that making them twice gives the same ones."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from execution_options.api.channel import ChannelType
    from execution_options.api.model import Template
    from execution_options.notifications.ended import Ended
    from execution_options.notifications.route import ChannelKey

IDEMPOTENT: Final[frozenset[ChannelType]] = frozenset({"email", "pagerDuty", "webhook"})
"""Types whose messages carry a key by which the receiver can tell a repetition (Slack has none)."""

_DIGITS: Final = 20
MAX_NAME: Final = 253
MAX_DEDUP_KEY: Final = 255
"""https://developer.pagerduty.com/docs/events-api-v2/trigger-events/"""


def delivery_name(ended: Ended, channel: ChannelKey, template: Template | None = None) -> str:
    """Name of the delivery of one episode by one channel: ``<execution's name, cut>-<hash>``."""
    said = "" if template is None else msgspec.json.encode(template, order="sorted").decode()
    digest = _digest(ended.uid, ended.episode, ended.phase, channel.namespace, channel.name, said)
    # A name must not end in the middle of a character that may not stand before a dash.
    return f"{ended.name[: MAX_NAME - _DIGITS - 1].rstrip('.-')}-{digest}"


def message_id(key: str, recipient: str, sender: str) -> str:
    """``Message-ID`` of the mail of a delivery (``namespace/name``) to one recipient, in the sender's domain."""
    domain = sender.rpartition("@")[2].rstrip(">") or "execution.dev"
    return f"<{_digest(key, recipient)}.execution-options@{domain}>"


def webhook_id(key: str) -> str:
    """``webhook-id`` of a delivery (``namespace/name``): the same in every try.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    return f"msg_{_digest(key)}"


def dedup_key(lineage: str) -> str:
    """PagerDuty's key of a lineage: an incident is opened, and resolved by a later run, under the same."""
    if len(lineage) <= MAX_DEDUP_KEY:
        return lineage
    return f"{lineage[: MAX_DEDUP_KEY - _DIGITS - 1]}-{_digest(lineage)}"


def _digest(*parts: str) -> str:
    """Hexadecimal digits that no two different lists of parts share."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_DIGITS]
