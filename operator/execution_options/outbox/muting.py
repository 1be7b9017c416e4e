"""Deliveries that wait because their channel is muted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

if TYPE_CHECKING:
    from datetime import datetime

    from execution_options.outbox.state import Status


def muted(status: Status, until: datetime) -> Status:
    """The status of a delivery whose channel is muted.

    Args:
        status: its status so far, without a claim.
        until: when it is muted no more.
    """
    message = f"the channel is muted until {until.isoformat(timespec='seconds')}"
    return structs.replace(status, reason="Muted", message=message, next_attempt=until)


def is_muted(status: Status) -> bool:
    """Whether a delivery waits because its channel is muted."""
    return status.reason == "Muted" and not status.finished
