"""The sets of values that the chart is rendered with are as many as they need to be, and no more."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import yaml

from execution_options.install.chart import _described
from support.values import OTHER, pairwise, values

FILE = Path(__file__).parents[2] / "charts/execution-options/values.yaml"
TEXT = FILE.read_text()


def test_every_value_of_the_chart_has_another() -> None:
    tree = yaml.compose(TEXT, yaml.SafeLoader)
    assert isinstance(tree, yaml.MappingNode)
    defaults = {path: default for path, default, _ in _described(tree, TEXT.splitlines())}
    assert set(OTHER) == set(defaults)
    assert [path for path, other in OTHER.items() if other == defaults[path]] == []


def test_any_two_values_meet_in_every_way() -> None:
    rows = pairwise()
    assert len(rows) < 12
    for one, other in combinations(OTHER, 2):
        assert {(one in row, other in row) for row in rows} == {(a, b) for a in (True, False) for b in (True, False)}


def test_values_are_nested_as_the_chart_reads_them() -> None:
    assert values(["crds.keep", "crds.enabled", "log.level"]) == {
        "crds": {"keep": False, "enabled": False},
        "log": {"level": "debug"},
    }
