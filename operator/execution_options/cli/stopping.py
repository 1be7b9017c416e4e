"""Being told to end before a process can end in order: while it is still being imported, or connecting."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

SERVING: Final = ("controller", "webhook")
"""Commands that run until they are told to end, for which that is no failure."""


def end_at_once() -> None:
    """End with code 0 on SIGTERM, until the event loop takes the signal over: nothing has begun that could be undone.

    Without a handler the kernel drops the signal where the process is a container's first, and that is killed later.
    """
    signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not sys.exit(): its exception would be raised wherever the imports are just then, some of which catch it.
    os._exit(0)
