"""Names and addresses as Kubernetes and mail write them: patterns that Python and RE2 read alike."""

from __future__ import annotations

from typing import Final

DNS_LABEL: Final = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
DNS_SUBDOMAIN: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
SUBDOMAIN_SYNTAX: Final = (
    "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters"
)
EMAIL_ADDRESS: Final = r"[^@<>,;\x00-\x20\x7f]+@[^@<>,;\x00-\x20\x7f]+"
