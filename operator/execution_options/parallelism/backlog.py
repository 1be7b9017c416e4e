"""What the controller tells the webhook: which executions have pods that wait where a ResourceQuota counts these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

RENEW_SECONDS: Final = 10.0
"""How often it is said anew that it is true, while anybody is named."""
VALID_SECONDS: Final = 30.0
"""How long it counts: without a controller nobody is refused for ever by what was true once."""
MAX_NAMED: Final = 20_000
"""Identifiers of 16 characters that fit into a ConfigMap; who is not named is not refused either."""


def written(identifiers: Iterable[str], most: int) -> str:
    """The identifiers of executions as one text, ``most`` of them."""
    return " ".join(sorted(identifiers)[:most])


def read(text: str) -> frozenset[str]:
    """The inverse of :func:`written`."""
    return frozenset(text.split())
