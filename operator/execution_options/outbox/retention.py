"""How long finished deliveries are kept."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.outbox.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEPT: Final[dict[str, timedelta]] = {
    "Delivered": timedelta(hours=24),
    "Suppressed": timedelta(hours=24),
    "Failed": timedelta(days=7),
}
KEPT_INCIDENT: Final = timedelta(days=30)
"""How long a delivery is kept whose incident is still open."""
MOST: Final = 1000
"""Most finished deliveries of one namespace."""


class Finished(Struct, frozen=True):
    """A delivery that has finished.

    Attributes:
        needed: whether deleting it would cause a second notification.
        incident: whether it opened an incident that may still be open.
    """

    namespace: str
    name: str
    state: State
    finished_at: datetime
    needed: bool = False
    incident: bool = False


def outdated(finished: Iterable[Finished], now: datetime) -> Iterator[Finished]:
    """The deliveries to delete: those that are too old, and the oldest of a namespace with too many.

    Args:
        finished: all finished deliveries.
        now: the current time.
    """
    kept: defaultdict[str, list[Finished]] = defaultdict(list)
    for one in finished:
        age = now - one.finished_at
        if one.needed:
            continue
        if age >= KEPT[one.state] and not (one.incident and age < KEPT_INCIDENT):
            yield one
        else:
            kept[one.namespace].append(one)
    for many in kept.values():
        # Deliveries of incidents go last: without them nothing would close the incident.
        many.sort(key=lambda one: (one.incident, one.finished_at))
        yield from many[: max(0, len(many) - MOST)]
