"""Deliveries that the API server refuses to record: what is said of them, wherever somebody may look."""

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
"""Of options: absent until something is refused, and as it was last while nothing new is known."""
UNRECORDED: Final = "Unrecorded"
"""What metrics call a notification that was given up before it was recorded."""


class Refusals:
    """Says what is refused, by events on the execution and its options, a condition of these, metrics and the log.

    Args:
        index: the options.
        recorder: posts events.
        metrics: counts.
        changed: is told of options whose condition changes.
    """

    def __init__(
        self, index: OptionsIndex, recorder: Recorder, metrics: Metrics, changed: Callable[[OptionsKey], None]
    ) -> None:
        self._index = index
        self._recorder = recorder
        self._metrics = metrics
        self._changed = changed
        self._said: dict[str, Aspect] = {}
        """By the uid of options."""

    def refused(self, namespace: str, composed: Composed, error: ApiError, *, last: bool) -> None:
        """A delivery was refused, and is tried again unless that was the last time."""
        spec, execution = composed.spec, composed.spec.execution
        whose = "" if execution is None else f" of {execution.kind} {execution.name}"
        what = f"{spec.phase}{whose} by {spec.channel.type} cannot be recorded"
        if last:
            reason, note = "NotificationLost", f"{what}, and was given up: {error.message}"
            self._metrics.deliveries.labels(spec.channel.type, UNRECORDED).inc()
            about = fields(namespace=namespace, name=composed.name, channel=spec.channel.name, state=UNRECORDED)
            logger.error("delivery %s/%s: %s", namespace, composed.name, note, extra=about)
        else:
            reason, note = "NotificationRefused", f"{what}, and is tried again: {error.message}"
        for regarding in concerned(spec, namespace, options=True):
            self._recorder.post_on(regarding, Announcement("Warning", reason, "Notify", note))
        self._say(namespace, composed, Aspect(CONDITION, "False", reason, note))

    def recorded(self, namespace: str, composed: Composed) -> None:
        """A delivery was recorded: whatever was in the way is not any more."""
        uid = "" if composed.spec.options is None else composed.spec.options.uid
        key = self._index.key_of(uid)
        known = None if key is None else self._index.get(key)
        if known is not None and self._is_refused(known):
            self._say(namespace, composed, Aspect(CONDITION, "True", "Recorded", ""))

    def unnoted(self, execution: Regarding, note: str, error: ApiError) -> None:
        """What is recorded cannot be noted on the execution, which has no room for it, say."""
        text = f"notified of {note}, which cannot be noted on it: {error.message}"
        logger.warning("%s %s/%s: %s", execution.kind, execution.namespace, execution.name, text)
        self._recorder.post_on(execution, Announcement("Warning", "NotificationNotNoted", "Notify", text))

    def aspects(self, known: Known) -> list[Aspect]:
        """What the status of options has to say; nothing where it stays as it is."""
        said = self._said.get(known.uid)
        return [] if said is None else [said]

    def _is_refused(self, known: Known) -> bool:
        said = self._said.get(known.uid)
        if said is not None:
            return said.status == "False"
        # Another process may have said so before.
        written = known.status.get("conditions") or ()
        return any(one.get("type") == CONDITION and one.get("status") == "False" for one in written)

    def _say(self, namespace: str, composed: Composed, aspect: Aspect) -> None:
        options = composed.spec.options
        if options is not None and options.uid and self._said.get(options.uid) != aspect:
            self._said[options.uid] = aspect
            self._changed(OptionsKey.of(options.kind, namespace, options.name))
