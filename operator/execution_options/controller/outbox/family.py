"""What the other deliveries of a lineage mean for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.outbox import lineage, state
from execution_options.outbox.record import report

if TYPE_CHECKING:
    from datetime import datetime

    from execution_options.controller.outbox.delivery import Delivery
    from execution_options.outbox.state import Status


def report_of(delivery: Delivery, status: Status | None = None) -> lineage.Report:
    """What a delivery reports about its lineage.

    Args:
        delivery: the delivery.
        status: a status that is not written yet; ``None``: its own.
    """
    metadata = delivery.metadata
    return report(metadata.name, delivery.spec, status or delivery.status, metadata.creation_timestamp)


def pointless(
    delivery: Delivery, mine: lineage.Report, others: list[lineage.Report], status: Status, now: datetime
) -> Status | None:
    """The final status of a delivery that others of its lineage make pointless; ``None`` if it must be sent.

    Args:
        delivery: the delivery.
        mine: what it reports.
        others: what the others report.
        status: its status so far.
        now: the current time.
    """
    if not delivery.spec.serialised and not delivery.spec.recovers:
        return None
    later = lineage.superseded_by(mine, others)
    if later is not None:
        why = "failed and is not over" if mine.resolves else "started later and succeeded"
        return state.suppressed(status, "Superseded", f"another execution {why}: {later}", now)
    if mine.resolves and not lineage.has_to_resolve(mine, others):
        what = (
            "no failure of its lineage was notified" if delivery.spec.recovers else "no incident of its lineage is open"
        )
        return state.suppressed(status, "NothingToResolve", what, now)
    return None


def threads(mine: lineage.Report, family: list[Delivery]) -> dict[str, str]:
    """Recipient → the thread of the last message about a failure that a success shows to be over.

    Args:
        mine: the report of a delivery.
        family: the other deliveries of its lineage.
    """
    failures = [
        (report, one) for one in family if lineage.is_over(report := report_of(one), mine) and not report.resolves
    ]
    failures.sort(key=lambda found: found[0].place)
    return (
        {who.name: who.thread for _, one in failures for who in one.now.recipients if who.thread}
        if mine.resolves
        else {}
    )
