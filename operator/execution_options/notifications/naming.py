"""Names and keys derived from the end of an execution, so that deriving them again gives the same ones."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.api.channel import ChannelType
    from execution_options.api.notification import Template
    from execution_options.notifications.ended import Ended
    from execution_options.notifications.route import ChannelKey

IDEMPOTENT: Final[frozenset[ChannelType]] = frozenset({"email", "pagerDuty", "webhook", "opsgenie"})
"""Channel types whose messages carry a key by which the receiver can recognise a repetition (Slack has none)."""
INCIDENTS: Final[frozenset[ChannelType]] = frozenset({"pagerDuty", "opsgenie"})
"""Channel types whose messages open an incident of a lineage that a later success closes."""

_DIGITS: Final = 20
MAX_NAME: Final = 253
MAX_DEDUP_KEY: Final = 255
"""https://developer.pagerduty.com/docs/events-api-v2/trigger-events/"""


def delivery_name(ended: Ended, channel: ChannelKey, template: Template | None = None, *more: str) -> str:
    """Name of the delivery of one end by one channel: ``<execution's name, cut>-<hash>``.

    Args:
        ended: the end of an execution.
        channel: the channel that sends it.
        template: template of the message; another template makes another delivery.
        *more: what else tells it from others of the same end, channel and template.
    """
    template_json = "" if template is None else msgspec.json.encode(template, order="sorted").decode()
    parts = (ended.uid, ended.episode, ended.phase, channel.namespace, channel.name, template_json)
    digest = _digest(*parts, *more)
    # No dot may stand before the dash: a DNS label cannot begin with a dash.
    return f"{ended.name[: MAX_NAME - _DIGITS - 1].rstrip('.-')}-{digest}"


def group_key(by: Iterable[str], channel: ChannelKey, recipients: Iterable[str]) -> str:
    """Digest of what the deliveries of a group have in common.

    Args:
        by: what the notification names.
        channel: the channel that sends them.
        recipients: their recipients.
    """
    return _digest(channel.namespace, channel.name, *recipients, "", *by)


def fallback_name(delivery: str, channel: ChannelKey) -> str:
    """Name of the delivery that takes the place of another one.

    Args:
        delivery: name of the delivery that failed.
        channel: the channel that sends the new one.
    """
    digest = _digest(delivery, channel.namespace, channel.name)
    return f"{delivery[: MAX_NAME - _DIGITS - 1].rstrip('.-')}-{digest}"


def message_id(key: str, recipient: str, sender: str) -> str:
    """``Message-ID`` of a mail, in the sender's domain.

    Args:
        key: ``namespace/name`` of the delivery.
        recipient: address of the recipient.
        sender: address of the sender, with or without a name before it.
    """
    domain = sender.rpartition("@")[2].rstrip(">") or "execution.dev"
    return f"<{_digest(key, recipient)}.execution-options@{domain}>"


def webhook_id(key: str) -> str:
    """``webhook-id`` of a delivery (``namespace/name``): the same in every try.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    return f"msg_{_digest(key)}"


def incident_key(ended: Ended) -> str:
    """The key of the incident of an end's lineage."""
    lineage = ended.lineage or f"{ended.engine}/{ended.namespace}/{ended.name}"
    # Without the cluster's name, a success in one cluster would close an incident of another.
    return dedup_key(f"{ended.cluster}/{lineage}" if ended.cluster else lineage)


def dedup_key(lineage: str) -> str:
    """The key of a lineage's incident. A later run resolves it under the key that opened it."""
    if len(lineage) <= MAX_DEDUP_KEY:
        return lineage
    return f"{lineage[: MAX_DEDUP_KEY - _DIGITS - 1]}-{_digest(lineage)}"


def _digest(*parts: str) -> str:
    """Hexadecimal digits of a hash of the parts."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_DIGITS]
