"""From an engine's status to Flyte's phase, by the rules of the engine's profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct

from execution_options.api.engine_status import EnginePhase, StatusRules
from execution_options.engines.paths import locate, lookup
from execution_options.options.selection import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.api.term import Term

TERMINAL: frozenset[EnginePhase] = frozenset({"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"})


DELETED: Final = "deleted"
"""What tells the end that is a deletion from the other ends of an execution: an object is deleted once."""


class Outcome(Struct, frozen=True):
    """Where an execution is.

    ``finished_at`` is the engine's own time (RFC 3339) of the end, or of the last transition; it tells
    one arrival at a terminal phase from the next under the same UID.
    """

    phase: EnginePhase
    message: str = ""
    finished_at: str = ""
    deleted: bool = False
    """Whether its deletion is its end."""

    @property
    def terminal(self) -> bool:
        """Whether the execution has ended."""
        return self.phase in TERMINAL

    @property
    def episode(self) -> str:
        """What tells this end from the others of the same UID."""
        return DELETED if self.deleted else self.finished_at


class Status(StatusRules, frozen=True):
    """How an engine's status is read."""

    def outcome(self, execution: dict[str, Any]) -> Outcome:
        """Where ``execution`` is, by what its engine writes of it."""
        rule = next((rule for rule in self.phases if all(holds(term, execution) for term in rule.when)), None)
        phase: EnginePhase = "QUEUED" if rule is None else rule.phase
        at = _first(execution, self.finished_at) if phase in TERMINAL else ""
        return Outcome(phase, _first(execution, self.message), at)

    def after_deletion(self, outcome: Outcome, at: str) -> Outcome:
        """The end of an execution that was deleted at a time (RFC 3339).

        One that ended is deleted as what it was: what the engine says of its end is true, whoever was first.
        """
        if outcome.terminal:
            return outcome
        return Outcome("ABORTED" if self.deleted is UNSET else self.deleted, outcome.message, at, deleted=True)


def holds(term: Term, document: Mapping[str, Any]) -> bool:
    """Whether ``term`` is true of an object: of any of the places that its path means."""
    found = (lookup(document, place) for place in locate(document, term.path))
    return any(value is not None and _is_one_of(value, term.is_) for value in found)


def _is_one_of(value: Any, patterns: tuple[str, ...]) -> bool:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return not patterns or any(matches(pattern, text) for pattern in patterns)


def _first(execution: dict[str, Any], paths: Iterable[str]) -> str:
    found = (lookup(execution, place) for path in paths for place in locate(execution, path))
    return next((str(value) for value in found if value not in (None, "")), "")
