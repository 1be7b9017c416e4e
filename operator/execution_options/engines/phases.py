"""From an engine's status to Flyte's phase, by the rules of the engine's profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from execution_options.engines.paths import read
from execution_options.options.selection import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Phase = Literal["QUEUED", "RUNNING", "SUCCEEDING", "SUCCEEDED", "FAILING", "FAILED", "ABORTING", "ABORTED", "TIMED_OUT"]
"""Flyte's ``WorkflowExecutionPhase`` names."""

TERMINAL: frozenset[Phase] = frozenset({"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"})


class Term(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What stands at ``path`` is one of ``is_`` (wildcards ``*`` and ``?``), or, without it, is there at all."""

    path: str
    is_: tuple[str, ...] = field(name="is", default=())


class Rule(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The phase of an execution for which every term holds."""

    phase: Phase
    when: tuple[Term, ...] = ()


class Outcome(Struct, frozen=True):
    """Where an execution is.

    ``finished_at`` is the engine's own time (RFC 3339) of the end, or of the last transition; it tells
    one arrival at a terminal phase from the next under the same UID.
    """

    phase: Phase
    message: str = ""
    finished_at: str = ""

    @property
    def terminal(self) -> bool:
        """Whether the execution has ended."""
        return self.phase in TERMINAL


class Status(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How an engine's status is read.

    ``phases`` are tried in order, the first that holds decides; none means QUEUED. ``message`` and
    ``finished_at`` are paths, of which the first that has a value counts. ``deleted`` is the phase of an
    execution that is deleted before it has ended, where the engine aborts that way.
    """

    phases: tuple[Rule, ...]
    message: tuple[str, ...] = ()
    finished_at: tuple[str, ...] = ()
    deleted: Phase | None = None

    def outcome(self, execution: dict[str, Any]) -> Outcome:
        """Where ``execution`` is."""
        rule = next((rule for rule in self.phases if all(holds(term, execution) for term in rule.when)), None)
        phase: Phase = "QUEUED" if rule is None else rule.phase
        if phase not in TERMINAL:
            deleting = read(execution, "metadata.deletionTimestamp")
            if self.deleted is None or deleting is None:
                return Outcome(phase, _first(execution, self.message))
            return Outcome(self.deleted, _first(execution, self.message), str(deleting))
        return Outcome(phase, _first(execution, self.message), _first(execution, self.finished_at))


def holds(term: Term, document: Mapping[str, Any]) -> bool:
    """Whether ``term`` is true of an object."""
    value = read(document, term.path)
    if value is None:
        return False
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return not term.is_ or any(matches(pattern, text) for pattern in term.is_)


def _first(execution: dict[str, Any], paths: Iterable[str]) -> str:
    found = (read(execution, path) for path in paths)
    return next((str(value) for value in found if value not in (None, "")), "")
