"""Effective options as rows for people, each with a value and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from execution_options.api.channel import CHANNEL_TYPES
from execution_options.options.merge import SCALARS_OF, recipients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.notification import Notification
    from execution_options.options.levels import Source, Sourced
    from execution_options.options.merge import Effective


class Row(NamedTuple):
    """One effective value.

    Attributes:
        field: path of its field in the spec.
        value: the value as text.
        source: its source.
    """

    field: str
    value: str
    source: Source


def rows(effective: Effective) -> Iterator[Row]:
    """Every effective value, in the order of the spec."""
    for option, scalars in SCALARS_OF.items():
        if option in ("labels", "annotations", "envs"):
            entries: dict[str, Sourced[str]] = getattr(effective, option)
            for key in sorted(entries):
                yield Row(f"{option}[{key}]", entries[key].value, entries[key].source)
        elif option == "notifications":
            for number, notification in enumerate(effective.notifications):
                yield Row(f"notifications[{number}]", _notification(notification.value), notification.source)
        for scalar in scalars:
            value: Sourced[Any] | None = getattr(effective, scalar.name)
            if value is None:
                continue
            if isinstance(value.value, Struct):
                for field, inner in msgspec.to_builtins(value.value).items():
                    yield Row(f"{scalar.path}.{field}", inner or "(cleared)", value.source)
            else:
                yield Row(scalar.path, shown(value.value), value.source)


def shown(value: object) -> str:
    """A value as a manifest would have it."""
    if isinstance(value, Struct):
        return msgspec.json.encode(value).decode()
    return msgspec.json.encode(value).decode() if isinstance(value, bool) else str(value)


def _notification(notification: Notification) -> str:
    way = next(name for field, name in CHANNEL_TYPES.items() if getattr(notification, field) is not UNSET)
    who = " ".join(recipients(notification))
    channel = "" if notification.channel_ref is UNSET else f" by {notification.channel_ref.name}"
    return f"{'|'.join(notification.phases)} → {way} {who}{channel}".rstrip()
