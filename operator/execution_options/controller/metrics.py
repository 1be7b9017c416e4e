"""Metrics of the controller; no label holds the name of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections import Counter as Counts
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric


class _Executions(Collector):
    """Counted when asked, so that no count can drift."""

    def __init__(self, counts: Callable[[], Counts[tuple[str, str]]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """The one metric."""
        metric = GaugeMetricFamily(
            "execution_options_executions", "Executions that have options.", labels=["engine", "state"]
        )
        for (engine, state), count in self._counts().items():
            metric.add_metric([engine, state], count)
        yield metric


class Metrics:
    """Counters and gauges in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.leader = Gauge(
            "execution_options_leader", "1 while this process is the active controller.", registry=self.registry
        )
        self._depth = Gauge(
            "execution_options_queue_depth", "Keys that wait to be reconciled.", ["queue"], registry=self.registry
        )

    def watch_queue(self, name: str, depth: Callable[[], int]) -> None:
        """Show the depth of a queue."""
        self._depth.labels(name).set_function(depth)

    def watch_executions(self, counts: Callable[[], Counts[tuple[str, str]]]) -> None:
        """Show the number of executions by engine and state."""
        self.registry.register(_Executions(counts))
