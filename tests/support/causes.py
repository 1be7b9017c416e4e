"""Causes of failures, for tests that have no store of pods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from execution_options.controller.cache.causes import Causes
from execution_options.controller.cache.tracker import Tracker

if TYPE_CHECKING:
    from execution_options.notifications.cause import Cause

NO_CAUSES: Final = Causes(cast("Any", SimpleNamespace(items={})), Tracker())
"""Knows of no pod."""


class Logs:
    """Has one log for every container, and notes what is asked."""

    def __init__(self, log: str = "", problem: str = "") -> None:
        self.answer = (log, problem)
        self.asked: list[tuple[str, int]] = []

    async def last(self, cause: Cause, _: str, lines: int) -> tuple[str, str]:
        """The log."""
        self.asked.append((cause.pod, lines))
        return self.answer


NO_LOGS: Final = cast("Any", Logs())
