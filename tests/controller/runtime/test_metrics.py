"""Metrics name no object."""

from __future__ import annotations

from collections import Counter

from prometheus_client import generate_latest

from execution_options.controller.runtime.metrics import Metrics


def test_metrics_name_no_object() -> None:
    metrics = Metrics()
    metrics.watch_executions(lambda: Counter({("job", "active"): 2}))
    metrics.watch_queue("pods", lambda: 3)
    text = generate_latest(metrics.registry).decode()
    assert 'execution_options_executions{engine="job",state="active"} 2.0' in text
    assert 'execution_options_queue_depth{queue="pods"} 3.0' in text
