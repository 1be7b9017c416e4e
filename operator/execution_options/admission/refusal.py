"""Why an execution is refused."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "OptionsMissing",
    "AnnotationsFull",
    "PatchTooLarge",
    "ServiceAccountMissing",
    "IdentityConflict",
    "InvalidIamRole",
    "NotReady",
    "NotAllowed",
    "ChannelMissing",
]
"""Why an execution is refused, for programs. NotReady passes by itself: the controller has something yet to write."""


class RefusedError(Exception):
    """The execution must not be created; the message says why and what would be right."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
