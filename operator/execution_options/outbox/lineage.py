"""The order of deliveries about one incident: a success closes it if its execution started after the failures."""

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
        started: when its execution started; ``None`` if an earlier release recorded it, or nothing was executed.
        ended: when its execution ended.
        state: state of the delivery.
    """

    name: str
    resolves: bool
    started: datetime | None
    ended: datetime
    state: State

    @property
    def place(self) -> tuple[datetime, bool]:
        """Its place in the order of ends. If two ended at the same time, the failure is the later one."""
        return (self.ended, not self.resolves)


def is_over(failure: Report, success: Report) -> bool:
    """Whether a success shows that a failure is over: its execution started after the other one had failed.

    A success that ran at the same time as the failure says nothing of what comes after it. Times have no fractions of
    seconds: an execution that started in the second of the failure came after it, unless both started in that second.

    Args:
        failure: the report of a failure.
        success: the report of a success.
    """
    if success.started is None:
        return success.place > failure.place
    if success.started == failure.ended:
        return failure.started is None or failure.started < success.started
    return success.started > failure.ended


def superseded_by(report: Report, others: Iterable[Report]) -> str | None:
    """Name of another delivery of the lineage that makes this one wrong; ``None`` if there is none.

    A failure must not open an incident again after a success has shown that it is over, even if that success was not
    sent. A success must not close the incident of a failure that nothing has shown to be over.

    Args:
        report: the report of a delivery.
        others: reports of the other deliveries of its lineage.
    """
    others = list(others)
    successes = [other for other in others if other.resolves]
    if report.resolves:
        against = [
            other
            for other in others
            if not other.resolves
            and other.state not in ("Failed", "Suppressed")
            and not any(is_over(other, success) for success in (report, *successes))
        ]
    else:
        against = [success for success in successes if is_over(report, success)]
    return max(against, key=lambda other: other.place).name if against else None


def has_to_resolve(report: Report, others: Iterable[Report]) -> bool:
    """Whether a failure that is over may have opened an incident that no other success has closed.

    Args:
        report: the report of a success.
        others: reports of the other deliveries of its lineage.
    """
    others = list(others)
    return any(
        not other.resolves and other.state != "Suppressed" and is_over(other, report) and not _is_closed(other, others)
        for other in others
    )


def has_to_wait(report: Report, others: Iterable[Report]) -> bool:
    """Whether a failure that is over is still being sent, which people are to hear of before they hear of a success.

    Args:
        report: the report of a success.
        others: reports of the other deliveries of its lineage.
    """
    return any(
        not other.resolves and other.state in ("Pending", "Sending") and is_over(other, report) for other in others
    )


def is_open(report: Report, others: Iterable[Report]) -> bool:
    """Whether the incident that a delivered failure opened may still be open.

    Args:
        report: the report of a delivery.
        others: reports of the other deliveries of its lineage.
    """
    return not report.resolves and report.state == "Delivered" and not _is_closed(report, others)


def _is_closed(failure: Report, others: Iterable[Report]) -> bool:
    return any(other.resolves and other.state == "Delivered" and is_over(failure, other) for other in others)
