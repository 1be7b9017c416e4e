"""The order of what belongs to one incident: the last execution of a lineage says whether there is one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from execution_options.outbox.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable


class Report(Struct, frozen=True):
    """What one delivery says of its lineage.

    Attributes:
        name: of the delivery.
        resolves: whether it says that all is well again.
        ended: when its execution ended.
        state: of the delivery.
    """

    name: str
    resolves: bool
    ended: datetime
    state: State

    @property
    def place(self) -> tuple[datetime, bool]:
        """Its place in time; of two that ended at once the failure counts as the later one."""
        return (self.ended, not self.resolves)


def superseded_by(report: Report, others: Iterable[Report]) -> str | None:
    """Name of a later delivery of the lineage that says the opposite; ``None`` where there is none.

    An old failure must not open an incident again after a newer success, whether that was told or not, and
    an old success must not close the incident of a newer failure.
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
    """Whether an earlier failure of the lineage may have opened an incident that nothing has closed since."""
    earlier = [other for other in others if other.place < report.place]
    opened = [other.place for other in earlier if not other.resolves and other.state != "Suppressed"]
    closed = [other.place for other in earlier if other.resolves and other.state == "Delivered"]
    return bool(opened) and (not closed or max(closed) < max(opened))


def is_open(report: Report, others: Iterable[Report]) -> bool:
    """Whether the incident that a delivered failure opened may still be open."""
    if report.resolves or report.state != "Delivered":
        return False
    return not any(other.resolves and other.state == "Delivered" and other.place > report.place for other in others)
