"""The deliveries that are due when an execution ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from msgspec import structs

from execution_options.admission import edit
from execution_options.api.keys import ExecutionKey, OptionsKey
from execution_options.api.names import DISABLE_NOTIFICATIONS_ANNOTATION
from execution_options.options import reference
from execution_options.options.live import InvalidLiveError, current_layers, edited
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError
from execution_options.outbox import episode
from execution_options.outbox.compose import compose, ended, is_disabled, log_lines

if TYPE_CHECKING:
    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject
    from execution_options.controller.cache import Causes, Directory, OptionsIndex
    from execution_options.controller.outbox.ending import Ending
    from execution_options.controller.outbox.podlogs import PodLogs
    from execution_options.engines.phases import Outcome
    from execution_options.engines.profile import Engine
    from execution_options.notifications.cause import Cause
    from execution_options.options.merge import Effective
    from execution_options.outbox.compose import Composed

logger = logging.getLogger(__name__)

CAUSED: Final = frozenset({"FAILED", "TIMED_OUT"})
"""Phases of which messages say why."""


class Due:
    """Composes deliveries.

    Args:
        causes: knows why executions fail.
        cluster: name of the cluster; empty for none.
        logs: reads logs where a channel asks for them.

    Attributes:
        since: when the kind of deliveries was installed (RFC 3339); earlier ends are not notified.
    """

    def __init__(self, index: OptionsIndex, directory: Directory, causes: Causes, cluster: str, logs: PodLogs) -> None:
        self._index = index
        self._directory = directory
        self._causes = causes
        self._cluster = cluster
        self._logs = logs
        self.since: str | None = None

    async def of(self, engine: Engine, known: Ending, outcome: Outcome) -> list[Composed]:
        """The deliveries of an end; empty if nobody is to be notified of it."""
        metadata = known.item.metadata
        if (
            outcome.unknown
            or not known.record.stamped
            or not episode.is_news(outcome, metadata.creation_timestamp, self.since)
        ):
            return []
        try:
            effective = self._effective(metadata, outcome)
        except (InvalidSnapshotError, InvalidLiveError) as error:
            logger.warning("%s %s/%s: not notified: %s", engine.kind, metadata.namespace, metadata.name, error)
            return []
        if not effective.notifications:
            return []
        disabled = is_disabled(effective, _flag(metadata))
        cause, channels = self._cause(engine, known, outcome), self._directory.channels(metadata.namespace)
        end = ended(engine, metadata, outcome, cause=cause, cluster=self._cluster)
        lines = log_lines(effective, end.phase, channels) if cause is not None and cause.logs and not disabled else 0
        if cause is not None and lines:
            log, problem = await self._logs.last(cause, metadata.namespace, lines)
            end = structs.replace(end, log=log, log_problem=problem)
        return compose(end, effective, channels, disabled=disabled)

    def _cause(self, engine: Engine, known: Ending, outcome: Outcome) -> Cause | None:
        """Why an execution failed; one that was aborted or deleted did not fail."""
        if outcome.phase not in CAUSED or outcome.deleted:
            return None
        metadata = known.item.metadata
        cause = self._causes.of(ExecutionKey(engine.name, metadata.namespace, metadata.name), known.item)
        if cause is None or not (known.gone and engine.is_pod):
            return cause
        return structs.replace(cause, logs="")

    def _effective(self, metadata: ObjectMeta, outcome: Outcome) -> Effective:
        """The options as they were when the execution ended, including edits that had not reached it yet."""
        ended = episode.time_of(outcome.finished_at)

        def find(kind: str, name: str) -> OptionsObject | None:
            known = self._index.get(OptionsKey.of(kind, metadata.namespace, name))
            since = None if known is None else episode.time_of(known.since)
            in_time = ended is None or (since is not None and since <= ended)
            return known.options if known is not None and in_time else None

        state = edit.state(metadata)
        return merge(current_layers(state.snapshot, edited(state.snapshot, state.live, find)))


def _flag(metadata: ObjectMeta) -> bool | None:
    try:
        text = (metadata.annotations or {}).get(DISABLE_NOTIFICATIONS_ANNOTATION)
        return reference.parse_flag(DISABLE_NOTIFICATIONS_ANNOTATION, text)
    except reference.InvalidReferenceError:
        return None
