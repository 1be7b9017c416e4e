"""What people are notified of: an execution that reached a terminal phase."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from execution_options.api.notification import Phase
from execution_options.notifications.cause import Cause


class Ended(Struct, frozen=True, kw_only=True):
    """One arrival at a terminal phase. An execution that is retried under the same UID has several.

    Attributes:
        engine: name of the engine's description, for example ``argo-workflow``.
        phase: the terminal phase.
        episode: distinguishes this arrival from others of the same UID: the engine's time of the end, or of the
            last transition (RFC 3339).
        message: the engine's message.
        started_at: when the execution was created (RFC 3339).
        finished_at: when it ended (RFC 3339).
        lineage: what this execution is a run of; see :func:`lineage`.
        launch_plan: ``kind/name`` of what started it; empty if nothing did.
        labels: labels of the execution.
        cluster: name of the cluster; empty if the operator was given none.
        cause: the first failure of its pods; ``None`` if none is known.
        log: the last lines of the log of the container that failed first, if they were asked for and could be read.
        log_problem: why they could not be read; otherwise empty.
        headline: what happened, if that is not the end of an execution; otherwise empty.
        tested: ``kind/name`` of the object that a test notification tests; otherwise empty.
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
    cluster: str = ""
    cause: Cause | None = None
    log: str = ""
    log_problem: str = ""
    headline: str = ""
    tested: str = ""

    @property
    def reported_phase(self) -> Phase | Literal["TEST"]:
        """The phase that messages show. A test must not be mistaken for an end."""
        return "TEST" if self.tested else self.phase

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; ``None`` if a time is missing or the clocks disagree."""
        try:
            took = datetime.fromisoformat(self.finished_at) - datetime.fromisoformat(self.started_at)
        except (ValueError, TypeError):  # TypeError: only one has a time zone
            return None
        seconds = took.total_seconds()
        return seconds if seconds >= 0 else None


def lineage(
    engine: str, namespace: str, name: str, *, generate_name: str = "", launch_plan: str = "", definition: str = ""
) -> str:
    """What an execution is a run of. The next run has another UID, but the same lineage.

    Args:
        engine: name of the engine's description.
        namespace: namespace of the execution.
        name: name of the execution, used if nothing below is given.
        generate_name: prefix of a generated name.
        launch_plan: ``kind/name`` of what started it. Takes precedence.
        definition: the definition that the engine names. Comes second.

    Returns:
        ``engine/namespace/…``.
    """
    return f"{engine}/{namespace}/{launch_plan or definition or generate_name.rstrip('-') or name}"
