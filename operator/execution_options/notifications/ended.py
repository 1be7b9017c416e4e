"""What is notified: an execution that arrived at a terminal phase."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from execution_options.api.model import Phase


class Ended(Struct, frozen=True, kw_only=True):
    """One episode: an arrival at a terminal phase, of which an execution that is retried under its UID has several.

    Attributes:
        engine: name of the engine's description, for example ``argo-workflow``.
        phase: the terminal phase.
        episode: what tells this arrival from others of the same UID: the engine's time of the end, or of the
            last transition (RFC 3339).
        message: what the engine says about it.
        started_at: when the execution was created (RFC 3339).
        finished_at: when it ended (RFC 3339).
        lineage: what this execution is a run of; see :func:`lineage`.
        launch_plan: ``kind/name`` of what started it; empty where nothing did.
        labels: of the execution.
        headline: what has happened, where that is not the end of an execution; otherwise empty.
        tested: ``kind/name`` of what is tested; otherwise empty.
    """

    engine: str
    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    id: str = ""
    """The label ``execution.dev/id``."""
    phase: Phase
    episode: str
    message: str = ""
    started_at: str = ""
    finished_at: str = ""
    lineage: str = ""
    launch_plan: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    headline: str = ""
    tested: str = ""

    @property
    def told(self) -> Phase | Literal["TEST"]:
        """The phase that messages name: a test must not be taken for an end."""
        return "TEST" if self.tested else self.phase

    @property
    def seconds(self) -> float | None:
        """How long it took; ``None`` where a time is missing or the clocks disagree."""
        try:
            took = datetime.fromisoformat(self.finished_at) - datetime.fromisoformat(self.started_at)
        except (ValueError, TypeError):  # TypeError: one has a time zone and the other has none
            return None
        seconds = took.total_seconds()
        return seconds if seconds >= 0 else None


def lineage(
    engine: str, namespace: str, name: str, *, generate_name: str = "", launch_plan: str = "", definition: str = ""
) -> str:
    """What an execution is a run of, as ``engine/namespace/…``: the same for the next run, whose UID is another.

    The launch plan, or the definition that the engine names, or the prefix of a generated name, or the name itself.
    """
    return f"{engine}/{namespace}/{launch_plan or definition or generate_name.rstrip('-') or name}"
