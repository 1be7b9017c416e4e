"""Until when a channel is muted. What is urgent is sent nevertheless."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from execution_options.api.mute import Day, Mute
from execution_options.notifications.naming import INCIDENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from execution_options.api.channel import ChannelType
    from execution_options.api.notification import Phase

DAYS: Final = get_args(Day)
WEEK: Final = timedelta(days=7)
_SAMPLE: Final = datetime(2026, 1, 5, tzinfo=UTC)


def is_urgent(channel_type: ChannelType, phase: Phase) -> bool:
    """Whether a message is sent although its channel is muted.

    Who is on call for an incident must hear of it, and a closed one must not wake anybody.

    Args:
        channel_type: type of the channel.
        phase: phase of the execution.
    """
    return channel_type in INCIDENTS and phase != "ABORTED"


def muted_until(mute: Iterable[Mute], now: datetime) -> datetime | None:
    """When the times that a channel is muted at are over; ``None`` if it is not muted now.

    Times that follow each other without a gap are one. Times of an unknown zone do not count.

    Args:
        mute: ``spec.mute`` of the channel.
        now: the current time.

    Returns:
        ``None``, too, if that would be more than a week: such times have no effect, because messages would never be
        sent.
    """
    until = _over(tuple(mute), now)
    return until if now < until < now + WEEK else None


def problems(mute: Iterable[Mute]) -> Iterator[tuple[str, str]]:
    """What is wrong with the times of a channel: where in its spec, and what."""
    mute = tuple(mute)
    for index, one in enumerate(mute):
        if one.time_zone and zone(one.time_zone) is None:
            yield f"spec.mute[{index}].timeZone", f"{one.time_zone} is not a time zone, for example Europe/Berlin"
    if _over(mute, _SAMPLE) - _SAMPLE >= WEEK:
        yield "spec.mute", "it leaves no time to send anything"


def _over(mute: tuple[Mute, ...], now: datetime) -> datetime:
    """When these times are over: ``now`` if there are none, otherwise perhaps more than a week later."""
    until = now
    while until - now < WEEK:
        ends = [end for one in mute for begin, end in _around(one, until) if begin <= until < end]
        if not ends:
            break
        until = max(ends)
    return until


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo | None:
    """A time zone; ``None`` if there is none with this name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name is that of a folder
        return None


def _around(one: Mute, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times of one entry that may contain a moment."""
    place = zone(one.time_zone or "UTC")
    if place is None:
        return
    begin, end = one.from_ or "00:00", one.to or "24:00"
    for ago in (0, 1):
        day = moment.astimezone(place).date() - timedelta(days=ago)
        if not one.days or DAYS[day.weekday()] in one.days:
            following = day if end > begin else day + timedelta(days=1)
            yield _at(day, begin, place), _at(following, end, place)


def _at(day: date, clock: str, place: ZoneInfo) -> datetime:
    hours, _, minutes = clock.partition(":")
    if hours == "24":
        day, hours = day + timedelta(days=1), "0"
    return datetime.combine(day, time(int(hours), int(minutes)), place).astimezone(UTC)
