"""Outcomes that programs report in the termination message of a container.

Some programs exit with 0 although their work has failed. Such a program can report its outcome by writing
``{"execution.dev/phase": "FAILED", "message": "…"}`` to its termination message:
https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from execution_options.api import decoding
from execution_options.api.names import GROUP
from execution_options.api.notification import TERMINAL_PHASES, Phase
from execution_options.api.syntax import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PHASE_KEY: Final = f"{GROUP}/phase"
MESSAGE_KEY: Final = "message"
MAX_LENGTH: Final = 4096
"""Characters of a termination message. The kubelet keeps at most as many bytes."""
MAX_MESSAGE: Final = 2000
"""Characters of the message for people that are kept."""
MAX_QUOTED: Final = 40
"""Characters of a wrong phase that a message quotes."""
_SEVERITY: Final[tuple[Phase | None, ...]] = (None, "SUCCEEDED", "ABORTED", "TIMED_OUT", "FAILED")


class InvalidOutcomeError(ValueError):
    """A program tried to report an outcome; the message tells what is wrong with it."""


class ProgramOutcome(Struct, frozen=True):
    """Outcome that a program reports.

    Attributes:
        phase: the terminal phase; ``None`` if the report is not valid.
        message: for people, as the program wrote it, at most :data:`MAX_MESSAGE` characters.
        problem: what is wrong with the report; empty if it is valid.
    """

    phase: Phase | None
    message: str = ""
    problem: str = ""


def parse(text: str) -> ProgramOutcome | None:
    """Return the outcome in a termination message; ``None`` if the message has another purpose.

    Raises:
        InvalidOutcomeError: it has the key of the phase, but is not a valid outcome.
    """
    if PHASE_KEY not in text:
        return None
    if len(text) > MAX_LENGTH:
        raise InvalidOutcomeError(f"it has {len(text)} characters, at most {MAX_LENGTH} are read")
    try:
        document = decoding.read(text, dict[str, Any])
    except decoding.UnreadableError as error:
        raise InvalidOutcomeError(f"it is no JSON object: {error}") from error
    if PHASE_KEY not in document:
        return None
    phase, message = document[PHASE_KEY], document.get(MESSAGE_KEY)
    if phase not in TERMINAL_PHASES:
        quoted = repr(phase)
        quoted = quoted if len(quoted) <= MAX_QUOTED else f"{quoted[: MAX_QUOTED - 1]}…"
        close = suggestion(phase, TERMINAL_PHASES) if isinstance(phase, str) else ""
        raise InvalidOutcomeError(f"{PHASE_KEY} is {quoted}, which is none of {', '.join(TERMINAL_PHASES)}{close}")
    if message is not None and not isinstance(message, str):
        raise InvalidOutcomeError(f"{MESSAGE_KEY} is no string")
    return ProgramOutcome(phase, (message or "").strip()[:MAX_MESSAGE])


def worst_of(texts: Iterable[Any]) -> ProgramOutcome | None:
    """Return the worst outcome that several programs report; ``None`` if none reports any."""
    worst: ProgramOutcome | None = None
    for text in texts:
        if not isinstance(text, str):
            continue
        try:
            outcome = parse(text)
        except InvalidOutcomeError as error:
            outcome = ProgramOutcome(None, problem=str(error))
        worst = worse(worst, outcome)
    return worst


def worse(one: ProgramOutcome | None, other: ProgramOutcome | None) -> ProgramOutcome | None:
    """Return the worse of two outcomes. FAILED is the worst; TIMED_OUT, ABORTED and SUCCEEDED follow."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=_rank)


def _rank(one: ProgramOutcome) -> tuple[int, bool, str, str]:
    return _SEVERITY.index(one.phase), bool(one.message), one.message, one.problem


def of_pod(status: Mapping[str, Any]) -> ProgramOutcome | None:
    """Return the worst outcome that the programs of a pod report in its ``status``."""
    containers = status.get("containerStatuses")
    return worst_of(_terminated(one) for one in containers) if isinstance(containers, list) else None


def _terminated(container: Any) -> Any:
    for name in ("state", "terminated", "message"):
        container = container.get(name) if isinstance(container, dict) else None
    return container
