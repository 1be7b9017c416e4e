"""Reports deliveries by metrics, the log, and Events on executions and options."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from execution_options.api import names
from execution_options.controller.runtime import Announcement, OpenDeliveries, Regarding
from execution_options.logs import fields
from execution_options.outbox.episode import time_of
from execution_options.outbox.muting import is_muted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from execution_options.controller.outbox.delivery import Delivery
    from execution_options.controller.runtime import Metrics, Recorder
    from execution_options.outbox.record import Spec
    from execution_options.providers.answer import Answer


logger = logging.getLogger(__name__)


class Reporting:
    """Reports the results of deliveries."""

    def __init__(self, metrics: Metrics, recorder: Recorder) -> None:
        self._metrics = metrics
        self._recorder = recorder

    def attempted(self, delivery: Delivery, answers: Mapping[str, Answer]) -> None:
        """An attempt was made."""
        for answer in answers.values():
            self._metrics.attempts.labels(delivery.spec.channel.type, answer.result).inc()

    def finished(self, delivery: Delivery) -> None:
        """A delivery has finished, and its status says so."""
        status, spec = delivery.now, delivery.spec
        self._metrics.deliveries.labels(spec.channel.type, status.state).inc()
        logger.info(
            "delivery %s/%s by %s: %s (%s): %s",
            *(*delivery.key, _channel(spec), status.state, status.reason, _note(delivery)),
            extra=fields(
                namespace=delivery.metadata.namespace,
                name=delivery.metadata.name,
                channel=_channel(spec),
                state=status.state,
                reason=status.reason,
            ),
        )
        ended = time_of(spec.episode)
        if status.state == "Delivered" and ended is not None and not status.redelivery and not spec.test:
            took = (datetime.now(UTC) - ended).total_seconds()
            self._metrics.latency.labels(spec.channel.type).observe(max(0.0, took))
        if status.state == "Delivered" or status.reason == "NothingToResolve":
            return  # an Event for each would leave no room for warnings
        for regarding in concerned(spec, delivery.metadata.namespace, options=status.state == "Failed"):
            self._recorder.post_on(regarding, announcement(delivery))


def _channel(spec: Spec) -> str:
    channel = spec.channel
    return f"{channel.type} {channel.namespace}/{channel.name}" if channel.name else channel.type


def announcement(delivery: Delivery) -> Announcement:
    """The Event for a delivery that has finished and did not arrive."""
    if delivery.now.state == "Suppressed":
        return Announcement("Normal", "NotificationSuppressed", "Notify", _note(delivery))
    return Announcement("Warning", "NotificationFailed", "Notify", _note(delivery))


def _note(delivery: Delivery) -> str:
    status, spec = delivery.now, delivery.spec
    recipients = ", ".join(name for name in spec.recipients if name) or spec.channel.name
    what = f"{spec.phase} by {spec.channel.type} to {recipients} (NotificationDelivery {delivery.metadata.name})"
    return what if status.state == "Delivered" else f"{what}: {status.message}"


def concerned(spec: Spec, namespace: str, *, options: bool) -> Iterator[Regarding]:
    """The objects of an Event: the execution and, with ``options``, the options that require the notification."""
    if spec.execution is not None:
        execution = spec.execution
        yield Regarding(execution.api_version, execution.kind, namespace, execution.name, execution.uid)
    asking = spec.options
    if options and asking is not None and asking.uid:
        of_cluster = asking.kind == names.CLUSTER_OPTIONS_KIND
        yield Regarding(names.API_VERSION, asking.kind, "" if of_cluster else namespace, asking.name, asking.uid)


def summary(open_deliveries: Callable[[], Iterator[Delivery]]) -> OpenDeliveries:
    """How many deliveries are open, and how old the oldest is, without the time that it is meant to wait."""
    counts: Counter[tuple[str, str]] = Counter()
    oldest, now = 0.0, datetime.now(UTC)
    for delivery in open_deliveries():
        if is_muted(delivery.now):
            counts[delivery.spec.channel.type, "Muted"] += 1
            continue  # it is to wait
        counts[delivery.spec.channel.type, delivery.now.state] += 1
        created = time_of(delivery.metadata.creation_timestamp)
        if created is not None:
            group = delivery.spec.group
            meant = 0 if group is None else group.wait_seconds + group.interval_seconds
            oldest = max(oldest, (now - created).total_seconds() - meant)
    return OpenDeliveries(counts, oldest)
