"""Times at which a channel does not disturb anybody."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType, field

from execution_options.api import channel_rules
from execution_options.api.base import SET, Resource, described

Day = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Mute(Resource, frozen=True):
    """A time of some days at which messages wait."""

    from_: (
        Annotated[str, described("When it begins, HH:MM. Absent: 00:00.", channel_rules.TIME_OF_DAY, max_length=5)]
        | UnsetType
    ) = field(name="from", default=UNSET)
    to: (
        Annotated[
            str,
            described(
                "When it ends, HH:MM; a time that is not after from is one of the next day. Absent: 24:00.",
                channel_rules.TIME_OF_DAY,
                max_length=5,
            ),
        ]
        | UnsetType
    ) = UNSET
    days: (
        Annotated[
            tuple[Day, ...],
            described("Days on which it begins. Absent: every day.", channel_rules.SOME_DAY, extra=SET, max_length=7),
        ]
        | UnsetType
    ) = UNSET
    time_zone: (
        Annotated[
            str,
            described(
                "Name of a time zone, for example Europe/Berlin. Absent: UTC.", channel_rules.TIME_ZONE, max_length=64
            ),
        ]
        | UnsetType
    ) = UNSET
