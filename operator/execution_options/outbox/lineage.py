"""The order of deliveries about one incident: the last execution of a lineage decides whether it is open."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from execution_options.outbox.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable


class Report(Struct, frozen=True):
    """What one delivery reports about its lineage.

    Attributes:
        name: name of the delivery.
        resolves: whether it reports a success.
        ended: when its execution ended.
        state: state of the delivery.
    """

    name: str
    resolves: bool
    ended: datetime
    state: State

    @property
    def place(self) -> tuple[datetime, bool]:
        """Its place in the order of ends. If two ended at the same time, the failure is the later one."""
        return (self.ended, not self.resolves)


def superseded_by(report: Report, others: Iterable[Report]) -> str | None:
    """Name of a later delivery of the lineage that reports the opposite; ``None`` if there is none.

    An old failure must not open an incident again after a newer success, even if that success was not sent. An old
    success must not close the incident of a newer failure.

    Args:
        report: the report of a delivery.
        others: reports of the other deliveries of its lineage.
    """
    later = [
        other
        for other in others
        if other.resolves != report.resolves
        and other.place > report.place
        and (other.resolves or other.state not in ("Failed", "Suppressed"))
    ]
    return max(later, key=lambda other: other.place).name if later else None


def has_to_resolve(report: Report, others: Iterable[Report]) -> bool:
    """Whether an earlier failure of the lineage may have opened an incident that nothing has closed since.

    Args:
        report: the report of a success.
        others: reports of the other deliveries of its lineage.
    """
    earlier = [other for other in others if other.place < report.place]
    opened = [other.place for other in earlier if not other.resolves and other.state != "Suppressed"]
    closed = [other.place for other in earlier if other.resolves and other.state == "Delivered"]
    return bool(opened) and (not closed or max(closed) < max(opened))


def is_open(report: Report, others: Iterable[Report]) -> bool:
    """Whether the incident that a delivered failure opened may still be open.

    Args:
        report: the report of a delivery.
        others: reports of the other deliveries of its lineage.
    """
    if report.resolves or report.state != "Delivered":
        return False
    return not any(other.resolves and other.state == "Delivered" and other.place > report.place for other in others)
