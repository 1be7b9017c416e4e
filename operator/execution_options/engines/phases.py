"""Flyte's phase of an execution, from its status by the rules of its engine."""

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
"""Episode of an end by deletion. An object is deleted once, so it is unique."""


class Outcome(Struct, frozen=True):
    """State of an execution.

    Attributes:
        phase: its phase.
        message: of the engine or of the program, for people.
        finished_at: the engine's time (RFC 3339) of the end or of the last transition. It distinguishes the ends of an
            object that runs again under the same UID.
        deleted: whether it ended by deletion.
        remedy: how to make its program report its outcome, if the engine calls it succeeded in any case.
        unknown: whether the outcome of its program is unknown.
        problem: why the report of the program cannot be read; empty if it can, or if there is none.
    """

    phase: EnginePhase
    message: str = ""
    finished_at: str = ""
    deleted: bool = False
    remedy: str = ""
    unknown: bool = False
    problem: str = ""

    @property
    def terminal(self) -> bool:
        """Whether the execution has ended."""
        return self.phase in TERMINAL

    @property
    def episode(self) -> str:
        """Identifies this end among those of the same UID."""
        return DELETED if self.deleted else self.finished_at

    def with_program(self, program: ProgramOutcome | None) -> Outcome:
        """Return the state with the report of the program, which can only correct a success.

        Any other phase of the engine stays: the exit code is newer than the report, and a program that is killed
        reports nothing.
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
    """How the status of an execution is read."""

    def outcome(self, execution: dict[str, Any]) -> Outcome:
        """Return the state of an execution by its status."""
        rule = next((rule for rule in self.phases if all(holds(term, execution) for term in rule.when)), None)
        phase: EnginePhase = "QUEUED" if rule is None else rule.phase
        message = _first(execution, self.message)
        if phase not in TERMINAL:
            return Outcome(phase, message)
        remedy = self._remedy(execution) if phase == "SUCCEEDED" else ""
        outcome = Outcome(phase, message, _first(execution, self.finished_at), remedy=remedy, unknown=bool(remedy))
        return outcome.with_program(programs.worst_of(_all(execution, self.outcomes)))

    def _remedy(self, execution: dict[str, Any]) -> str:
        """Return how to make the program report its outcome; empty if the engine knows the outcome."""
        rule = next((rule for rule in self.outcome_required if all(holds(term, execution) for term in rule.when)), None)
        if rule is None or not rule.required:
            return ""
        return DEFAULT_REMEDY if rule.remedy is UNSET else rule.remedy

    def after_deletion(self, outcome: Outcome, at: str) -> Outcome:
        """Return the end of an execution that was deleted.

        An end that the engine reports stays, even if the deletion was requested before it.

        Args:
            outcome: the last known state.
            at: time of the deletion (RFC 3339).
        """
        if outcome.terminal:
            return outcome
        # The message of a running execution ("Workflow Started") is not the reason of its end.
        return Outcome("ABORTED" if self.deleted is UNSET else self.deleted, DELETION, at, deleted=True)


def holds(term: Term, document: Mapping[str, Any]) -> bool:
    """Whether a condition holds for an object, at any of the places of its path.

    Args:
        term: the condition.
        document: the object.
    """
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
