"""The status of a notification channel, for people and programs. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct

from execution_options.api.channel import DeliveryCounts, NotificationChannelStatus
from execution_options.notifications import fallback, mute
from execution_options.notifications.page import problems as bodies
from execution_options.notifications.template import problem
from execution_options.status.conditions import Aspect, conditions, worst, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.notifications.route import Channel

REFUSED: Final = "LastSendRefused"
"""Reason if the service refused the last messages for every recipient."""
GONE: Final = "Gone"
"""Reason if a webhook answered 410: nothing more is sent to it."""
_OF_SETTINGS: Final = frozenset(
    {"SecretMissing", "SecretKeyMissing", "SecretForbidden", "SecretInvalid", "InvalidAuthority", "InvalidSpec"}
)
"""Reasons that are checked each time. All others are about the last message and stay until the next one."""


class Sent(Struct, frozen=True):
    """The messages that were sent since the last write of the status.

    Attributes:
        delivered: number of messages that the service accepted.
        failed: number of messages that it refused for good.
        last: when it last accepted one.
        reason: why the last message failed, if the channel is to blame; empty if it was accepted, ``None`` if nothing
            was sent.
        text: what was wrong with the last message.
        generation: generation of the channel at that time.
        refused: number of messages in a row that the service refused for every recipient.
    """

    delivered: int = 0
    failed: int = 0
    last: datetime | None = None
    reason: str | None = None
    text: str = ""
    generation: int = 0
    refused: int = 0


def invalid(what: str) -> Aspect:
    """The condition ``Ready`` of a channel that this version cannot understand, with the problem."""
    return Aspect("Ready", "False", "InvalidSpec", f"nothing is sent by this channel: {what}")


def ready(present: Mapping[str, Any], generation: int, sent: Sent, settings: tuple[str, str] | None) -> Aspect:
    """The condition ``Ready``: whether messages can be sent.

    Args:
        present: the stored status.
        generation: generation of the channel.
        sent: messages that were sent since.
        settings: reason and message of a problem with the objects that the channel refers to; ``None`` for none.
    """
    if settings is not None:
        return Aspect("Ready", "False", *settings)
    if sent.reason and sent.reason not in _OF_SETTINGS:
        return Aspect("Ready", "False", sent.reason, f"the last message: {sent.text or sent.reason}")
    if sent.reason != "" and (old := last_problem(present, generation)) is not None:
        return Aspect("Ready", "False", *old)
    return Aspect("Ready", "True", "Usable", "")


def last_problem(present: Mapping[str, Any], generation: int) -> tuple[str, str] | None:
    """Reason and message of the problem that the stored status has about the last message; ``None`` for none.

    Args:
        present: the stored status.
        generation: generation of the channel. Problems of other generations are out of date.
    """
    listed = present.get("conditions")
    for condition in listed if isinstance(listed, list) else ():
        if (
            isinstance(condition, dict)
            and condition.get("type") == "Ready"
            and condition.get("status") == "False"
            and condition.get("observedGeneration") == generation
            and condition.get("reason") not in _OF_SETTINGS
        ):
            return str(condition.get("reason")), str(condition.get("message", ""))
    return None


def fully_effective(channel: Channel, others: Iterable[Channel], operator_namespace: str) -> Aspect:
    """The condition ``FullyEffective``: whether every field of the channel has an effect.

    Args:
        channel: the channel.
        others: the other channels.
        operator_namespace: namespace of the shared channels.
    """
    spec, others, found = channel.spec, list(others), []
    if spec.default is True:
        before = [other.key.name for other in others if _precedes(other, channel)]
        if before:
            found.append(f"spec.default: NotificationChannel {min(before)} is already the default for {channel.type}")
    if spec.allowed_namespaces is not UNSET and channel.key.namespace != operator_namespace:
        found.append(f"spec.allowedNamespaces: only channels in namespace {operator_namespace} are offered to others")
    if spec.execution_url is not UNSET and (what := problem(spec.execution_url)) is not None:
        found.append(f"spec.executionURL: messages have no link: {what}")
    if spec.http is not UNSET:
        found += [f"spec.http.body: {what}" for what in bodies(spec.http.body)]
    if what := fallback.problem(channel, others):
        found.append(f"spec.fallbackChannelRef: {what}")
    if spec.mute is not UNSET:
        found += [f"{path}: {what}" for path, what in mute.problems(spec.mute)]
    if not found:
        return Aspect("FullyEffective", "True", "EveryFieldHasEffect", "")
    return Aspect("FullyEffective", "False", "FieldsWithoutEffect", f"without effect: {'; '.join(found)}")


def _precedes(other: Channel, channel: Channel) -> bool:
    same = (other.type, other.key.namespace) == (channel.type, channel.key.namespace)
    return same and other.spec.default is True and other.key.name < channel.key.name


def status(
    present: Mapping[str, Any],
    generation: int,
    channel: Channel | None,
    aspects: list[Aspect],
    sent: Sent,
    now: datetime,
) -> dict[str, Any]:
    """The status to write, as JSON.

    Args:
        present: the stored status.
        generation: generation of the channel.
        channel: the channel; ``None`` if this version cannot understand it.
        aspects: its conditions.
        sent: messages that were sent since the last write.
        now: the current time.
    """
    counts = _counts(present)
    last = sent.last if sent.last is not None else _last(present)
    found = conditions(present, generation, aspects, now)
    wanted = NotificationChannelStatus(
        observed_generation=generation,
        type=UNSET if channel is None else channel.type,
        conditions=found,
        problem=worst(found),
        last_delivered=UNSET if last is None else last,
        deliveries=DeliveryCounts(delivered=counts[0] + sent.delivered, failed=counts[1] + sent.failed),
    )
    return written(wanted)


def _counts(present: Mapping[str, Any]) -> tuple[int, int]:
    given = present.get("deliveries")
    values = [given.get(name, 0) if isinstance(given, dict) else 0 for name in ("delivered", "failed")]
    delivered, failed = (value if isinstance(value, int) else 0 for value in values)
    return delivered, failed


def _last(present: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(present["lastDelivered"])
    except (KeyError, TypeError, ValueError):
        return None
