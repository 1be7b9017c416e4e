"""The status of a notification channel: what a person and a program should know of it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct

from execution_options.api.channel import DeliveryCounts, NotificationChannelStatus
from execution_options.notifications.template import problem
from execution_options.status.conditions import Aspect, conditions, worst, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.notifications.route import Channel

REFUSED: Final = "LastSendRefused"
"""Reason where the service refused the last messages, whoever their recipients were."""
GONE: Final = "Gone"
"""Reason of a webhook that answered 410: nothing is sent to it any more."""
_OF_SETTINGS: Final = frozenset(
    {"SecretMissing", "SecretKeyMissing", "SecretForbidden", "SecretInvalid", "InvalidAuthority", "InvalidSpec"}
)
"""Reasons that are found out anew each time; others are of the last message, and stay until the next one."""


class Sent(Struct, frozen=True):
    """What was sent since the status was written last.

    Attributes:
        delivered: messages that the service accepted.
        failed: messages that it refused for good.
        last: when it last accepted one.
        reason: of the last message, where the channel is to blame; empty where it was accepted, ``None`` where
            nothing was sent.
        text: what was wrong with it.
        generation: of the channel, when that was found.
        refused: messages in a row that the service refused for every recipient.
    """

    delivered: int = 0
    failed: int = 0
    last: datetime | None = None
    reason: str | None = None
    text: str = ""
    generation: int = 0
    refused: int = 0


def invalid(what: str) -> Aspect:
    """A channel that this version cannot understand."""
    return Aspect("Ready", "False", "InvalidSpec", f"nothing is sent by this channel: {what}")


def ready(present: Mapping[str, Any], generation: int, sent: Sent, settings: tuple[str, str] | None) -> Aspect:
    """Whether messages can be sent.

    Args:
        present: the status as it is.
        generation: of the channel.
        sent: what was sent since.
        settings: reason and message of what is wrong with what the channel refers to.
    """
    if settings is not None:
        return Aspect("Ready", "False", *settings)
    if sent.reason and sent.reason not in _OF_SETTINGS:
        return Aspect("Ready", "False", sent.reason, f"the last message: {sent.text or sent.reason}")
    if sent.reason != "" and (old := last_problem(present, generation)) is not None:
        return Aspect("Ready", "False", *old)
    return Aspect("Ready", "True", "Usable", "")


def last_problem(present: Mapping[str, Any], generation: int) -> tuple[str, str] | None:
    """Reason and message of a condition that the last message left, of this generation of the channel."""
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
    """Whether everything that the channel says has an effect."""
    spec, found = channel.spec, []
    if spec.default is True:
        before = [other.key.name for other in others if _precedes(other, channel)]
        if before:
            found.append(f"spec.default: NotificationChannel {min(before)} is the default for {channel.type} already")
    if spec.allowed_namespaces is not UNSET and channel.key.namespace != operator_namespace:
        found.append(f"spec.allowedNamespaces: only channels in namespace {operator_namespace} are offered to others")
    if spec.execution_url is not UNSET and (what := problem(spec.execution_url)) is not None:
        found.append(f"spec.executionURL: messages have no link: {what}")
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
    """The status to be, as it is written."""
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
