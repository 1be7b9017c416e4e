"""What programs say of their own end, in the termination message of a container.

Some programs exit with 0 although the work that they were started for failed. One that wants its end to be
notified as what it was writes ``{"execution.dev/phase": "FAILED", "message": "…"}`` to its termination message:
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
"""Characters of a termination message: the kubelet keeps as many bytes at most."""
MAX_MESSAGE: Final = 2000
"""Characters of the message for people that are kept."""
MAX_QUOTED: Final = 40
_SEVERITY: Final[tuple[Phase | None, ...]] = (None, "SUCCEEDED", "ABORTED", "TIMED_OUT", "FAILED")


class InvalidOutcomeError(ValueError):
    """A program meant to write an outcome, and wrote none; the message says what is wrong."""


class ProgramOutcome(Struct, frozen=True):
    """What a program says of its end.

    Attributes:
        phase: the terminal phase; ``None`` where what it wrote is no outcome.
        message: for people, as the program wrote it, at most :data:`MAX_MESSAGE` characters.
        problem: what is wrong with what it wrote; empty where nothing is.
    """

    phase: Phase | None
    message: str = ""
    problem: str = ""


def parse(text: str) -> ProgramOutcome | None:
    """The outcome that a termination message holds; ``None`` where it is meant for something else.

    Raises:
        InvalidOutcomeError: it names the key of the phase, and is no outcome.
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
        told = repr(phase)
        told = told if len(told) <= MAX_QUOTED else f"{told[: MAX_QUOTED - 1]}…"
        close = suggestion(phase, TERMINAL_PHASES) if isinstance(phase, str) else ""
        raise InvalidOutcomeError(f"{PHASE_KEY} is {told}, which is none of {', '.join(TERMINAL_PHASES)}{close}")
    if message is not None and not isinstance(message, str):
        raise InvalidOutcomeError(f"{MESSAGE_KEY} is no string")
    return ProgramOutcome(phase, (message or "").strip()[:MAX_MESSAGE])


def worst_of(texts: Iterable[Any]) -> ProgramOutcome | None:
    """The worst of what several programs say; ``None`` where none says anything."""
    worst: ProgramOutcome | None = None
    for text in texts:
        if not isinstance(text, str):
            continue
        try:
            said = parse(text)
        except InvalidOutcomeError as error:
            said = ProgramOutcome(None, problem=str(error))
        worst = worse(worst, said)
    return worst


def worse(one: ProgramOutcome | None, other: ProgramOutcome | None) -> ProgramOutcome | None:
    """Of two outcomes the one that counts, whichever came first: FAILED, TIMED_OUT, ABORTED, SUCCEEDED."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=_rank)


def _rank(said: ProgramOutcome) -> tuple[int, bool, str, str]:
    return _SEVERITY.index(said.phase), bool(said.message), said.message, said.problem


def of_pod(status: Mapping[str, Any]) -> ProgramOutcome | None:
    """What the programs of a pod say, by its ``status``."""
    containers = status.get("containerStatuses")
    return worst_of(_terminated(one) for one in containers) if isinstance(containers, list) else None


def _terminated(container: Any) -> Any:
    for name in ("state", "terminated", "message"):
        container = container.get(name) if isinstance(container, dict) else None
    return container
