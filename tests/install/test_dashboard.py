"""The dashboard shows metrics that there are, in panels that do not lie on each other."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest

from execution_options.install.dashboard import dashboard

PAGE: Final = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
DOCUMENT: Final[dict[str, Any]] = json.loads(dashboard())
PANELS: Final[list[dict[str, Any]]] = DOCUMENT["panels"]
QUERIES: Final = [(panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())]
METRIC: Final = re.compile(r"execution_options_\w+")


def documented() -> set[str]:
    """The metrics of the page, which a test holds to the processes."""
    table = PAGE[PAGE.index("\n## Metrics") : PAGE.index("\n## Alerts")]
    return set(METRIC.findall(table))


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_query_is_about_metrics_that_there_are(title: str, query: str) -> None:
    names = {name.removesuffix("_bucket") for name in METRIC.findall(query)}
    assert names
    assert names <= documented(), title


def test_every_metric_is_shown() -> None:
    shown = {name.removesuffix("_bucket") for _, query in QUERIES for name in METRIC.findall(query)}
    assert documented() - shown == set()


def test_panels_lie_side_by_side_within_the_grid() -> None:
    cells = [panel["gridPos"] for panel in PANELS]
    assert all(cell["x"] >= 0 and cell["x"] + cell["w"] <= 24 for cell in cells)
    for one, other in combinations(cells, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_the_data_source_can_be_chosen() -> None:
    (variable,) = DOCUMENT["templating"]["list"]
    assert {panel["datasource"]["uid"] for panel in PANELS if "datasource" in panel} == {f"${{{variable['name']}}}"}
