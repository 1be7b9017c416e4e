"""One of the ends that a message is about."""

from __future__ import annotations

from msgspec import Struct

from execution_options.api.notification import Phase


class Member(Struct, frozen=True, kw_only=True):
    """The end of one execution.

    Attributes:
        name: name of the execution.
        phase: its terminal phase.
        at: when it ended (RFC 3339).
        cause: why it failed, in one line; empty if that is not known.
        short: why it failed, without the name of its pod.
    """

    name: str
    phase: Phase
    at: str
    cause: str = ""
    short: str = ""
