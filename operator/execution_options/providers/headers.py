"""Headers that a Secret of the channel adds to its requests."""

from __future__ import annotations

import re
from typing import Final

from execution_options.providers.material import MaterialError

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")
_OURS: Final = ("host", "content-length", "content-type", "transfer-encoding", "connection", "te", "upgrade")


def of_secret(given: dict[str, str]) -> dict[str, str]:
    """The headers in a Secret, in lower case. They must not replace those that the operator sets.

    Raises:
        MaterialError: a key or a value cannot be a header.
    """
    for name, value in given.items():
        lower = name.lower()
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise MaterialError("SecretInvalid", "headersSecretRef has a key or value that is not valid in a header")
        if lower in _OURS or lower.startswith("webhook-"):
            raise MaterialError("SecretInvalid", f"headersSecretRef has {lower}, which the operator sets")
    return {name.lower(): value for name, value in given.items()}
