"""Metrics of the controller; no label holds the name of an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from execution_options.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.core import Metric


Numbers = Callable[[], "Mapping[tuple[str, ...], int]"]
"""Computes the values of a gauge, by the values of its labels."""


class OpenDeliveries(NamedTuple):
    """Deliveries that have not finished: how many by type and state, and the age of the oldest in seconds."""

    counts: Mapping[tuple[str, str], int]
    oldest: float


class _Computed(Collector):
    """Metrics that are computed at each scrape, so that they cannot drift."""

    def __init__(self, compute: Callable[[], Iterable[Metric]]) -> None:
        self._compute = compute

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""
        return self._compute()


class Metrics:
    """Counters and gauges in a registry of their own, and the watchdog that has some, too."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.watchdog = Watchdog(self.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=self.registry)

        self.reconciles = counter(
            "execution_options_reconciles_total", "Reconciles by queue and result (done, error).", "queue", "result"
        )
        self.patches = counter(
            "execution_options_live_patches_total",
            "Patches that brought edits to living objects, by what they changed (execution, pod).",
            "object",
        )
        self.restored = counter(
            "execution_options_enforced_restored_total",
            "Enforced labels and annotations of pods that were something else and were written again.",
            "engine",
        )
        self.dangling = gauge(
            "execution_options_dangling_references",
            "Launch plans that refer to options that do not exist, by kind.",
            "kind",
        )
        self.missed = counter(
            "execution_options_missed_total", "Executions found that were created past the webhook.", "engine"
        )
        self.events = counter("execution_options_events_total", "Events by result (posted, known, dropped).", "result")
        self.deliveries = counter(
            "execution_options_deliveries_total",
            "Notifications that have finished, by type and state (Delivered, Failed, Suppressed, Unrecorded).",
            "type",
            "state",
        )
        self.fallbacks = counter(
            "execution_options_delivery_fallbacks_total",
            "Notifications that were passed on to a fallback, by type of the channel that had given up.",
            "type",
        )
        self.attempts = counter(
            "execution_options_delivery_attempts_total",
            "Attempts to reach a recipient by type of channel and result (Accepted, Temporary, Permanent, Ambiguous).",
            "type",
            "result",
        )
        self.latency = histogram(
            "execution_options_delivery_seconds",
            "From the end of an execution, by its engine's clock, to the acceptance of its notification.",
            "type",
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86400),
        )
        self.releases = counter(
            "execution_options_parallelism_releases_total",
            "Releases of pods by result (released, gone, refused, repeated, unanswered, deferred, settled).",
            "result",
        )
        self.release_seconds = histogram(
            "execution_options_parallelism_release_seconds",
            "From the moment at which a pod could be released to the answer that it is.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.wait_seconds = histogram(
            "execution_options_parallelism_wait_seconds",
            "Age of pods when they are released.",
            buckets=(1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 14400, 86400),
        )
        self.leader = gauge("execution_options_leader", "1 while this process is the active controller.")
        self._depth = gauge("execution_options_queue_depth", "Keys that wait to be reconciled.", "queue")

    def watch_slots(self, totals: Callable[[], tuple[int, int]]) -> None:
        """Show how many pods whose parallelism the operator limits run, and how many wait."""
        name, text = "execution_options_parallelism_pods", "Pods of executions whose parallelism the operator limits"
        pods = Gauge(name, f"{text}, by state (running, waiting).", ["state"], registry=self.registry)
        pods.labels("running").set_function(lambda: totals()[0])
        pods.labels("waiting").set_function(lambda: totals()[1])

    def watch_queue(self, name: str, depth: Callable[[], int]) -> None:
        """Show the depth of a queue."""
        self._depth.labels(name).set_function(depth)

    def watch_deliveries(self, summary: Callable[[], OpenDeliveries]) -> None:
        """Show how many deliveries are open, and how old the oldest is."""

        def compute() -> Iterable[Metric]:
            counts, oldest = summary()
            text = "Notifications that have not finished; Muted ones wait for their channel."
            yield _gauge("execution_options_deliveries_open", text, ("type", "state"), counts)
            text = "Age of the oldest notification that has not finished and is not Muted; 0 where all have."
            yield GaugeMetricFamily("execution_options_delivery_oldest_seconds", text, value=oldest)

        self.registry.register(_Computed(compute))

    def watch_groups(self, number: Callable[[], int]) -> None:
        """Show how many groups of notifications wait to be sent."""
        text = "Groups of notifications that wait to be sent as one message."
        Gauge("execution_options_delivery_groups_open", text, registry=self.registry).set_function(number)

    def watch_executions(self, counts: Numbers) -> None:
        """Show the number of executions by engine and state."""
        self._watch("execution_options_executions", "Executions that have options.", ("engine", "state"), counts)

    def watch_unreadable(self, counts: Numbers) -> None:
        """Show how many objects the controller cannot read, by resource."""
        text = "Objects that are left out because they cannot be decoded."
        self._watch("execution_options_unreadable_objects", text, ("resource",), counts)

    def _watch(self, name: str, text: str, labels: tuple[str, ...], counts: Numbers) -> None:
        self.registry.register(_Computed(lambda: [_gauge(name, text, labels, counts())]))


def _gauge(
    name: str, text: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int] | Mapping[tuple[str, str], int]
) -> Metric:
    metric = GaugeMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        metric.add_metric(values, count)
    return metric
