"""SIGTERM before a process can stop in order: while it is still importing or connecting."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

SERVING: Final = ("controller", "webhook")
"""Commands that run until SIGTERM, which is no failure."""


def end_at_once() -> None:
    """End with code 0 on SIGTERM until the event loop handles the signal. Nothing has begun that must be undone.

    Without a handler the kernel drops the signal for the first process of a container, which is then killed later.
    """
    signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not sys.exit(): its exception would be raised inside an import, and some imports catch it.
    os._exit(0)
