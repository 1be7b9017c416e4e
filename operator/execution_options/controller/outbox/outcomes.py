"""Ends of which only the program knows what they were: what is said of them, wherever somebody may look."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


class Outcomes:
    """Says that ends are not notified, by the condition of the options, and that an outcome cannot be read.

    Args:
        index: the options.
        recorder: posts events.
        changed: is told of options whose condition changes.
    """

    def __init__(self, index: OptionsIndex, recorder: Recorder, changed: Callable[[OptionsKey], None]) -> None:
        self._index = index
        self._recorder = recorder
        self._changed = changed
        self._unknown: dict[str, str] = {}
        """What is said of options, by their UID; empty where the last program did say what became of it."""

    def ended(self, engine: Engine, metadata: ObjectMeta, record: Tracked, outcome: Outcome) -> None:
        """An execution came to an end, of which its program may have said something."""
        if outcome.problem:
            note = f"the outcome in a termination message cannot be read: {outcome.problem}"
            self._recorder.post(engine, metadata, Announcement("Warning", "OutcomeInvalid", "Notify", note))
        if not outcome.remedy:
            return
        said = outcome_unknown(engine, metadata.name, outcome.remedy) if outcome.unknown else ""
        for uid in record.sources:
            key = self._index.key_of(uid)
            known = None if key is None else self._index.get(key)
            # Of each kind of execution the first one is named for as long as nothing else is to be said.
            if known is not None and _notifies(known) and bool(self.unknown(known)) != bool(said):
                self._unknown[uid] = said
                self._changed(known.key)

    def unknown(self, known: Known) -> str:
        """Which ends of executions with these options are not notified, and the remedy; empty where all are."""
        if known.uid not in self._unknown:
            # Another process may have said so before.
            self._unknown[known.uid] = stored_outcome_unknown(known.status)
        return self._unknown[known.uid]


def _notifies(known: Known) -> bool:
    return known.options is not None and known.options.spec.notifications not in (UNSET, ())
