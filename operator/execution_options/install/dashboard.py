"""The chart's dashboard for Grafana. Pure.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["stat", "timeseries"]
_WIDTH: Final = 24
"""Columns of Grafana's grid."""
_HEIGHTS: Final[dict[Kind, int]] = {"stat": 4, "timeseries": 8}


class Panel(NamedTuple):
    """A panel.

    Attributes:
        title: what it shows.
        queries: in PromQL, each with its legend.
        unit: of Grafana's, such as ``s``; ``short`` for plain numbers.
        kind: of Grafana's.
        width: in columns of the grid.
        description: what to look for.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    description: str = ""


def _stat(title: str, query: str, unit: str = "short", description: str = "") -> Panel:
    return Panel(title, ((query, ""),), unit, "stat", 4, description)


def _quantiles(metric: str, by: str = "") -> tuple[tuple[str, str], ...]:
    labels = f"le, {by}" if by else "le"
    legend = f"{{{{{by}}}}} " if by else ""
    return tuple(
        (f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[5m])))", f"{legend}{name}")
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    )


def _rate(metric: str, by: str) -> tuple[tuple[str, str], ...]:
    labels = [f"{{{{{label.strip()}}}}}" for label in by.split(",")]
    return ((f"sum by ({by}) (rate({metric}[5m]))", " ".join(labels)),)


P: Final = "execution_options_"
_ADMISSIONS: Final = f"{P}admission_requests_total"
ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Health": (
        _stat("Active controllers", f"sum({P}leader)", description="1: exactly one holds the Lease."),
        _stat("Webhook replicas", f"count({P}certificate_expires_timestamp_seconds > time())"),
        _stat(
            "Certificate ends in", f"min({P}certificate_expires_timestamp_seconds) - time()", "s", "Days, not hours."
        ),
        _stat(
            "Admission errors",
            f'sum(rate({_ADMISSIONS}{{result="error"}}[5m])) / sum(rate({_ADMISSIONS}[5m]))',
            "percentunit",
        ),
        _stat("Created past the webhook", f"sum(increase({P}missed_total[1h]))", description="In the last hour."),
        _stat("Unreadable objects", f"sum({P}unreadable_objects)"),
    ),
    "Admission": (
        Panel("Requests", _rate(_ADMISSIONS, "result"), "reqps"),
        Panel("Time to answer", _quantiles(f"{P}admission_seconds"), "s"),
        Panel("Refused executions", _rate(f"{P}refusals_total", "reason"), "reqps"),
    ),
    "Executions": (
        Panel(
            "Executions with options", ((f"sum by (engine, state) ({P}executions)", "{{engine}} {{state}}"),), width=12
        ),
        Panel(
            "Changes of what runs",
            (
                *_rate(f"{P}live_patches_total", "object"),
                (f"sum(rate({P}enforced_restored_total[5m]))", "enforced, restored"),
            ),
            "ops",
            width=12,
        ),
    ),
    "Parallelism": (
        Panel("Pods", ((f"sum by (state) ({P}parallelism_pods)", "{{state}}"),), width=6),
        Panel("Releases", _rate(f"{P}parallelism_releases_total", "result"), "ops", width=6),
        Panel("Time in line", _quantiles(f"{P}parallelism_wait_seconds"), "s", width=6),
        Panel("From a free slot to the release", _quantiles(f"{P}parallelism_release_seconds"), "s", width=6),
    ),
    "Notifications": (
        Panel("Finished", _rate(f"{P}deliveries_total", "type, state"), "ops"),
        Panel("Open", ((f"sum by (type, state) ({P}deliveries_open)", "{{type}} {{state}}"),)),
        Panel("Oldest that is open", ((f"max({P}delivery_oldest_seconds)", "age"),), "s"),
        Panel("From the end of an execution to acceptance", _quantiles(f"{P}delivery_seconds", "type"), "s"),
        Panel("Attempts", _rate(f"{P}delivery_attempts_total", "type, result"), "ops"),
        Panel(
            "Groups and fallbacks",
            (
                (f"sum({P}delivery_groups_open)", "groups open"),
                (f"sum(increase({P}delivery_fallbacks_total[1h]))", "passed on in the last hour"),
            ),
        ),
    ),
    "Processes": (
        Panel("Queues", ((f"sum by (queue) ({P}queue_depth)", "{{queue}}"),)),
        Panel("Reconciles", _rate(f"{P}reconciles_total", "result"), "ops"),
        Panel("Events", _rate(f"{P}events_total", "result"), "ops"),
        Panel("Delay of the event loop", _quantiles(f"{P}loop_delay_seconds"), "s"),
        Panel("Launch plans whose options do not exist", ((f"sum by (kind) ({P}dangling_references)", "{{kind}}"),)),
    ),
}
"""Panels by row, in order."""
_DATA: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> str:
    """The dashboard, as Grafana imports it."""
    numbers, panels, y = count(1), [], 0
    for title, row in ROWS.items():
        panels.append(
            {
                "id": next(numbers),
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
            }
        )
        x, y = 0, y + 1
        for panel in row:
            if x + panel.width > _WIDTH:
                x, y = 0, y + _HEIGHTS[panel.kind]
            panels.append(_panel(panel, next(numbers), x, y))
            x += panel.width
        y += _HEIGHTS[row[-1].kind]
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    document = {
        "uid": "execution-options",
        "title": "Execution Options",
        "tags": ["execution-options"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }
    return json.dumps(document, indent=2) + "\n"


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "datasource": _DATA, "expr": query, "legendFormat": legend}
        for index, (query, legend) in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATA,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHTS[panel.kind]},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }
