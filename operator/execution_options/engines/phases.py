"""From an engine's status to Flyte's phase, by the rules of the engine's profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct, structs

from execution_options.api.engine_status import EnginePhase, StatusRules
from execution_options.engines import programs
from execution_options.engines.paths import filled, locate, lookup
from execution_options.options.selection import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from execution_options.api.term import Term
    from execution_options.engines.programs import ProgramOutcome

TERMINAL: frozenset[EnginePhase] = frozenset({"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"})

DEFAULT_REMEDY: Final = f"have the program write {programs.PHASE_KEY} to its termination message"
DELETION: Final = "it was deleted before it ended"
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
    remedy: str = ""
    """Where the engine calls it succeeded whatever became of its program: what has such programs say that."""
    unknown: bool = False
    """Whether nobody knows what became of its program."""
    problem: str = ""
    """Why what the program wrote cannot be read; empty where nothing is wrong with it."""

    @property
    def terminal(self) -> bool:
        """Whether the execution has ended."""
        return self.phase in TERMINAL

    @property
    def episode(self) -> str:
        """What tells this end from the others of the same UID."""
        return DELETED if self.deleted else self.finished_at

    def with_program(self, program: ProgramOutcome | None) -> Outcome:
        """The same with what the program says, which makes of a success what it was, and of nothing else a success.

        An end that the engine itself calls another keeps its phase: an exit code is the last word of a program, and
        what kills it has none.
        """
        if program is None or not self.terminal or self.deleted:
            return self
        if program.phase is None:
            return structs.replace(self, problem=program.problem)
        if self.phase == "SUCCEEDED":
            message = program.message or self.message
            return structs.replace(self, phase=program.phase, message=message, unknown=False, problem="")
        return self if self.message or program.phase != self.phase else structs.replace(self, message=program.message)


class Status(StatusRules, frozen=True):
    """How an engine's status is read."""

    def outcome(self, execution: dict[str, Any]) -> Outcome:
        """Where ``execution`` is, by what its engine writes of it."""
        rule = next((rule for rule in self.phases if all(holds(term, execution) for term in rule.when)), None)
        phase: EnginePhase = "QUEUED" if rule is None else rule.phase
        message = _first(execution, self.message)
        if phase not in TERMINAL:
            return Outcome(phase, message)
        remedy = self._remedy(execution) if phase == "SUCCEEDED" else ""
        outcome = Outcome(phase, message, _first(execution, self.finished_at), remedy=remedy, unknown=bool(remedy))
        return outcome.with_program(programs.worst_of(_all(execution, self.outcomes)))

    def _remedy(self, execution: dict[str, Any]) -> str:
        """What has the program say its outcome; empty where the engine knows that."""
        rule = next((rule for rule in self.outcome_required if all(holds(term, execution) for term in rule.when)), None)
        if rule is None or not rule.required:
            return ""
        return DEFAULT_REMEDY if rule.remedy is UNSET else rule.remedy

    def after_deletion(self, outcome: Outcome, at: str) -> Outcome:
        """The end of an execution that was deleted at a time (RFC 3339).

        One that ended is deleted as what it was: what the engine says of its end is true, whoever was first.
        """
        if outcome.terminal:
            return outcome
        # What the engine says of a run that goes on ("Workflow Started") is not why it ended.
        return Outcome("ABORTED" if self.deleted is UNSET else self.deleted, DELETION, at, deleted=True)


def holds(term: Term, document: Mapping[str, Any]) -> bool:
    """Whether ``term`` is true of an object: of any of the places that its path means."""
    found = (lookup(document, place) for place in locate(document, term.path))
    return any(value is not None and _is_one_of(value, term.is_) for value in found)


def _is_one_of(value: Any, patterns: tuple[str, ...]) -> bool:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return not patterns or any(matches(pattern, text) for pattern in patterns)


def _first(execution: dict[str, Any], paths: Iterable[str]) -> str:
    found = (filled(execution, place) for path in paths for place in locate(execution, path))
    return next((str(value) for value in found if value is not None), "")


def _all(execution: dict[str, Any], paths: Iterable[str]) -> Iterator[Any]:
    return (lookup(execution, place) for path in paths for place in locate(execution, path))
