"""Reports ends whose outcome only the program knows."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from execution_options.controller.runtime import Announcement
from execution_options.status.optionsstatus import outcome_unknown, stored_outcome_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import OptionsKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache import Known, OptionsIndex, Tracked
    from execution_options.controller.runtime import Recorder
    from execution_options.engines.phases import Outcome
    from execution_options.engines.profile import Engine


SILENCE: Final = 3600.0
"""Seconds after an outcome in which others may stay unknown: a task that waits, say, ends many pods without a word."""


class Outcomes:
    """Reports unknown outcomes in the condition of the options, and unreadable ones in an Event on the execution.

    Args:
        changed: called with options whose condition changes.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        index: OptionsIndex,
        recorder: Recorder,
        changed: Callable[[OptionsKey], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._recorder = recorder
        self._changed = changed
        self._clock = clock
        self._reported: dict[str, float] = {}
        """uid of options → when a program of theirs last reported its outcome (monotonic seconds)."""
        self._unknown: dict[str, str] = {}
        """uid of options → message of their condition; empty if the last program reported its outcome."""

    def ended(self, engine: Engine, metadata: ObjectMeta, record: Tracked, outcome: Outcome) -> None:
        """An execution has ended with this outcome."""
        if outcome.problem:
            note = f"the outcome in a termination message cannot be read: {outcome.problem}"
            self._recorder.post(engine, metadata, Announcement("Warning", "OutcomeInvalid", "Notify", note))
        if not outcome.remedy:
            return
        message = outcome_unknown(engine, metadata.name, outcome.remedy) if outcome.unknown else ""
        for uid in record.sources:
            known = self._index.of_uid(uid)
            if not outcome.unknown:
                self._reported[uid] = self._clock()
            elif self._clock() - self._reported.get(uid, -math.inf) < SILENCE:
                continue
            # The message keeps the execution that it first named.
            if known is not None and _notifies(known) and bool(self.unknown(known)) != bool(message):
                self._unknown[uid] = message
                self._changed(known.key)

    def unknown(self, known: Known) -> str:
        """Which ends of executions with these options are not notified, and the remedy; empty if all are."""
        if known.uid not in self._unknown:
            # Another process may have written the condition.
            self._unknown[known.uid] = stored_outcome_unknown(known.status)
        return self._unknown[known.uid]


def _notifies(known: Known) -> bool:
    return known.options is not None and known.options.spec.notifications not in (UNSET, ())
