"""Effective options as rows for people: which value came from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from execution_options.options.merge import recipients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.model import Notification
    from execution_options.options.levels import Source, Sourced
    from execution_options.options.merge import Effective


class Row(NamedTuple):
    """One value: the field's path in the spec, the value as text, and the object it came from."""

    field: str
    value: str
    source: Source


def rows(effective: Effective) -> Iterator[Row]:
    """Every effective value, in the order of the spec."""
    for name, entries in (("labels", effective.labels), ("annotations", effective.annotations)):
        for key in sorted(entries):
            yield Row(f"{name}[{key}]", entries[key].value, entries[key].source)
    run_as = effective.run_as
    if run_as is not None:
        for field, value in msgspec.to_builtins(run_as.value).items():
            yield Row(f"securityContext.runAs.{field}", value or "(cleared)", run_as.source)
    scalars: tuple[tuple[str, Sourced[str] | Sourced[int] | Sourced[bool] | None], ...] = (
        ("rawOutputDataConfig.outputLocationPrefix", effective.output_location_prefix),
        ("maxParallelism", effective.max_parallelism),
        ("overwriteCache", effective.overwrite_cache),
    )
    for field, scalar in scalars:
        if scalar is not None:
            yield Row(field, shown(scalar.value), scalar.source)
    for name in sorted(effective.envs):
        yield Row(f"envs[{name}]", effective.envs[name].value, effective.envs[name].source)
    for number, notification in enumerate(effective.notifications):
        yield Row(f"notifications[{number}]", _notification(notification.value), notification.source)
    for field, scalar in (
        ("disableNotifications", effective.disable_notifications),
        ("notificationGuarantee", effective.notification_guarantee),
    ):
        if scalar is not None:
            yield Row(field, shown(scalar.value), scalar.source)


def shown(value: object) -> str:
    """A value as the manifest would have it."""
    if isinstance(value, Struct):
        return msgspec.json.encode(value).decode()
    return msgspec.json.encode(value).decode() if isinstance(value, bool) else str(value)


def _notification(notification: Notification) -> str:
    ways = {"email": "email", "slack": "slack", "pager_duty": "pagerDuty", "webhook": "webhook"}
    way = next(name for field, name in ways.items() if getattr(notification, field) is not UNSET)
    who = " ".join(recipients(notification))
    channel = "" if notification.channel_ref is UNSET else f" by {notification.channel_ref.name}"
    return f"{'|'.join(notification.phases)} → {way} {who}{channel}".rstrip()
