"""Metrics of the controller; no label holds the name of an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from execution_options.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric


Numbers = Callable[[], "Mapping[tuple[str, ...], int]"]
"""What a gauge shows, by the values of its labels."""


class _Counts(Collector):
    """A gauge that is counted when it is scraped, so that it cannot drift."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...], counts: Numbers) -> None:
        self._described = (name, documentation, labels)
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """The one metric."""
        name, documentation, labels = self._described
        metric = GaugeMetricFamily(name, documentation, labels=labels)
        for values, count in self._counts().items():
            metric.add_metric(values, count)
        yield metric


class OpenDeliveries(NamedTuple):
    """Deliveries that have not finished: how many by type and state, and the age of the oldest in seconds."""

    counts: Mapping[tuple[str, str], int]
    oldest: float


class _Deliveries(Collector):
    def __init__(self, summary: Callable[[], OpenDeliveries]) -> None:
        self._summary = summary

    def collect(self) -> Iterator[Metric]:
        """Both metrics."""
        summary = self._summary()
        metric = GaugeMetricFamily(
            "execution_options_deliveries_open", "Notifications that have not finished.", labels=["type", "state"]
        )
        for (kind, state), count in summary.counts.items():
            metric.add_metric([kind, state], count)
        yield metric
        yield GaugeMetricFamily(
            "execution_options_delivery_oldest_seconds",
            "Age of the oldest notification that has not finished; 0 where all have.",
            value=summary.oldest,
        )


class Metrics:
    """Counters and gauges in a registry of their own, and the watchdog that has some, too."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.watchdog = Watchdog(self.registry)
        self.reconciles = Counter(
            "execution_options_reconciles_total",
            "Reconciles by queue and result (done, error).",
            ["queue", "result"],
            registry=self.registry,
        )
        self.patches = Counter(
            "execution_options_live_patches_total",
            "Patches that brought edits to living objects, by what they changed (execution, pod).",
            ["object"],
            registry=self.registry,
        )
        self.dangling = Gauge(
            "execution_options_dangling_references",
            "Launch plans that refer to options that do not exist, by kind.",
            ["kind"],
            registry=self.registry,
        )
        self.missed = Counter(
            "execution_options_missed_total",
            "Executions found that were created past the webhook.",
            ["engine"],
            registry=self.registry,
        )
        self.events = Counter(
            "execution_options_events_total",
            "Events by result (posted, known, dropped).",
            ["result"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "execution_options_deliveries_total",
            "Notifications that have finished, by type and state (Delivered, Failed, Suppressed, Unrecorded).",
            ["type", "state"],
            registry=self.registry,
        )
        self.attempts = Counter(
            "execution_options_delivery_attempts_total",
            "Attempts to reach a recipient by type of channel and result (Accepted, Temporary, Permanent, Ambiguous).",
            ["type", "result"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "execution_options_delivery_seconds",
            "From the end of an execution, by its engine's clock, to the acceptance of its notification.",
            ["type"],
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86400),
            registry=self.registry,
        )
        self.releases = Counter(
            "execution_options_parallelism_releases_total",
            "Releases of pods by result (released, gone, refused, repeated, unanswered, deferred, settled).",
            ["result"],
            registry=self.registry,
        )
        self.release_seconds = Histogram(
            "execution_options_parallelism_release_seconds",
            "From the moment at which a pod could be released to the answer that it is.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.wait_seconds = Histogram(
            "execution_options_parallelism_wait_seconds",
            "Age of pods when they are released.",
            buckets=(1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 14400, 86400),
            registry=self.registry,
        )
        self.leader = Gauge(
            "execution_options_leader", "1 while this process is the active controller.", registry=self.registry
        )
        self._depth = Gauge(
            "execution_options_queue_depth", "Keys that wait to be reconciled.", ["queue"], registry=self.registry
        )

    def watch_slots(self, totals: Callable[[], tuple[int, int]]) -> None:
        """Show how many pods run and wait whose parallelism we limit."""
        pods = Gauge(
            "execution_options_parallelism_pods",
            "Pods of executions whose parallelism the operator limits, by state (running, waiting).",
            ["state"],
            registry=self.registry,
        )
        pods.labels("running").set_function(lambda: totals()[0])
        pods.labels("waiting").set_function(lambda: totals()[1])

    def watch_queue(self, name: str, depth: Callable[[], int]) -> None:
        """Show the depth of a queue."""
        self._depth.labels(name).set_function(depth)

    def watch_deliveries(self, summary: Callable[[], OpenDeliveries]) -> None:
        """Show how many deliveries are open, and how old the oldest is."""
        self.registry.register(_Deliveries(summary))

    def watch_executions(self, counts: Numbers) -> None:
        """Show the number of executions by engine and state."""
        self._watch("execution_options_executions", "Executions that have options.", ("engine", "state"), counts)

    def watch_unreadable(self, counts: Numbers) -> None:
        """Show how many objects the controller cannot read, by resource."""
        text = "Objects that are left out because they cannot be decoded."
        self._watch("execution_options_unreadable_objects", text, ("resource",), counts)

    def _watch(self, name: str, text: str, labels: tuple[str, ...], counts: Numbers) -> None:
        self.registry.register(_Counts(name, text, labels, counts))
