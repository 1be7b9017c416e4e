"""Patterns of names and addresses in Kubernetes and mail, with the same meaning in Python and RE2."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DNS_LABEL: Final = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
DNS_SUBDOMAIN: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
SUBDOMAIN_SYNTAX: Final = (
    "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters"
)
EMAIL_ADDRESS: Final = r"[^@<>,;\x00-\x20\x7f]+@[^@<>,;\x00-\x20\x7f]+"


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is closest to an unknown one; empty if none is close."""
    by_lower = {one.lower(): one for one in sorted(known)}
    found = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``: did you mean …?`` with the known word that is closest; empty if none is close."""
    close = closest(word, known)
    return f": did you mean {close}?" if close else ""
