"""How long finished deliveries stay to be read."""

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
"""How long the delivery stays that opened an incident which nothing has resolved since."""
MOST: Final = 1000
"""Finished deliveries of one namespace."""


class Finished(Struct, frozen=True):
    """A delivery that has finished.

    Attributes:
        needed: its going would cause a second notification.
        incident: it opened an incident that may still be open.
    """

    namespace: str
    name: str
    state: State
    finished_at: datetime
    needed: bool = False
    incident: bool = False


def outdated(finished: Iterable[Finished], now: datetime) -> Iterator[Finished]:
    """Those that may go: too old, or the oldest where a namespace has too many."""
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
        # An incident is forgotten last: without its delivery nothing would close it.
        many.sort(key=lambda one: (one.incident, one.finished_at))
        yield from many[: max(0, len(many) - MOST)]
