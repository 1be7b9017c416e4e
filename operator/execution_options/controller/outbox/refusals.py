"""Reports deliveries that the API server refuses to record."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from execution_options.api.keys import OptionsKey
from execution_options.controller.outbox.reporting import concerned
from execution_options.controller.runtime import Announcement
from execution_options.logs import fields
from execution_options.status.conditions import Aspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.controller.cache import Known, OptionsIndex
    from execution_options.controller.runtime import Metrics, Recorder, Regarding
    from execution_options.kube.client import ApiError
    from execution_options.outbox.compose import Composed

logger = logging.getLogger(__name__)

CONDITION: Final = "NotificationsRecorded"
"""Condition of options; absent until something is refused."""
UNRECORDED: Final = "Unrecorded"
"""State, in metrics, of a notification that was given up before it was recorded."""


class Refusals:
    """Reports refusals by Events on the execution and its options, a condition of the options, metrics and the log.

    Args:
        changed: called with options whose condition changes.
    """

    def __init__(
        self, index: OptionsIndex, recorder: Recorder, metrics: Metrics, changed: Callable[[OptionsKey], None]
    ) -> None:
        self._index = index
        self._recorder = recorder
        self._metrics = metrics
        self._changed = changed
        self._conditions: dict[str, Aspect] = {}
        """The last condition of options, by uid."""

    def refused(self, namespace: str, composed: Composed, error: ApiError, *, last: bool) -> None:
        """A delivery was refused, and is tried again unless that was the ``last`` attempt."""
        spec, execution = composed.spec, composed.spec.execution
        owner = "" if execution is None else f" of {execution.kind} {execution.name}"
        what = f"{spec.phase}{owner} by {spec.channel.type} cannot be recorded"
        if last:
            reason, note = "NotificationLost", f"{what}, and was given up: {error.message}"
            self._metrics.deliveries.labels(spec.channel.type, UNRECORDED).inc()
            about = fields(namespace=namespace, name=composed.name, channel=spec.channel.name, state=UNRECORDED)
            logger.error("delivery %s/%s: %s", namespace, composed.name, note, extra=about)
        else:
            reason, note = "NotificationRefused", f"{what}, and is tried again: {error.message}"
        for regarding in concerned(spec, namespace, options=True):
            self._recorder.post_on(regarding, Announcement("Warning", reason, "Notify", note))
        self._set(namespace, composed, Aspect(CONDITION, "False", reason, note))

    def recorded(self, namespace: str, composed: Composed) -> None:
        """A delivery was recorded, which ends an earlier refusal."""
        known = self._index.of_uid("" if composed.spec.options is None else composed.spec.options.uid)
        if known is not None and self._is_refused(known):
            self._set(namespace, composed, Aspect(CONDITION, "True", "Recorded", ""))

    def unnoted(self, execution: Regarding, note: str, error: ApiError) -> None:
        """The note cannot be written on the execution, which has no room for it, for example."""
        text = f"notified of {note}, which cannot be noted on it: {error.message}"
        logger.warning("%s %s/%s: %s", execution.kind, execution.namespace, execution.name, text)
        self._recorder.post_on(execution, Announcement("Warning", "NotificationNotNoted", "Notify", text))

    def aspects(self, known: Known) -> list[Aspect]:
        """The condition of options; empty if it stays as it is."""
        aspect = self._conditions.get(known.uid)
        return [] if aspect is None else [aspect]

    def _is_refused(self, known: Known) -> bool:
        aspect = self._conditions.get(known.uid)
        if aspect is not None:
            return aspect.status == "False"
        # Another process may have written the condition.
        written = known.status.get("conditions") or ()
        return any(one.get("type") == CONDITION and one.get("status") == "False" for one in written)

    def _set(self, namespace: str, composed: Composed, aspect: Aspect) -> None:
        options = composed.spec.options
        if options is not None and options.uid and self._conditions.get(options.uid) != aspect:
            self._conditions[options.uid] = aspect
            self._changed(OptionsKey.of(options.kind, namespace, options.name))
