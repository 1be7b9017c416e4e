"""The quota backlog: executions whose waiting pods use up a ResourceQuota, as the controller reports to the webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

RENEW_SECONDS: Final = 10.0
"""Seconds between two renewals of a backlog that names any execution."""
VALID_SECONDS: Final = 30.0
"""Seconds for which a backlog is valid, so that no pod is refused for ever when there is no controller."""
MAX_NAMED: Final = 20_000
"""Most identifiers (16 characters each) that fit into a ConfigMap. Pods of other executions are not refused."""


def written(identifiers: Iterable[str], most: int) -> str:
    """The identifiers of executions as one text.

    Args:
        identifiers: all identifiers.
        most: most identifiers to write.
    """
    return " ".join(sorted(identifiers)[:most])


def read(text: str) -> frozenset[str]:
    """Read the identifiers that :func:`written` wrote."""
    return frozenset(text.split())
