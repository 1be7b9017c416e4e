"""Several notifications in one message."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api.base import SET, Resource, described
from execution_options.api.notification_rules import DURATION, SOME_KEY

GroupBy = Literal["lineage", "options", "namespace"]

_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Grouping(Resource, frozen=True):
    """Which notifications are sent as one message, and when."""

    by: Annotated[
        tuple[GroupBy, ...],
        described(
            "What the members have in common, besides channel and recipients: lineage (the definition that they are "
            "runs of), options (those that request the notification) or namespace.",
            SOME_KEY,
            extra=SET,
            max_length=3,
        ),
    ]
    wait: (
        Annotated[
            str,
            described("How long others are waited for after the first end. Absent: 30s.", DURATION, max_length=8),
        ]
        | UnsetType
    ) = UNSET
    interval: (
        Annotated[
            str,
            described("Shortest time between two messages of a group. Absent: 5m.", DURATION, max_length=8),
        ]
        | UnsetType
    ) = UNSET

    @property
    def wait_seconds(self) -> int:
        """How long others are waited for."""
        return _seconds(self.wait or "30s")

    @property
    def interval_seconds(self) -> int:
        """Shortest time between two messages."""
        return _seconds(self.interval or "5m")


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * _SECONDS[duration[-1]]
