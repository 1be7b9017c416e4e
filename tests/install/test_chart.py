"""The chart's own files: values, their schema, and templates of what has another source."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from execution_options.api.crd import crds
from execution_options.controller.runtime.metrics import Metrics, OpenDeliveries
from execution_options.install import SYSTEM_NAMESPACE, rbac
from execution_options.install.chart import CONDITIONS, templates
from execution_options.install.controllers import ENGINE_CONTROLLERS
from execution_options.webhook import metrics as webhook_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/execution-options"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def objects(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if "properties" in schema:
        yield path, schema
    for name, node in schema.get("properties", {}).items():
        yield from objects(node, f"{path}.{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


def test_a_value_that_is_misspelt_is_refused() -> None:
    assert [path for path, schema in objects(SCHEMA, "") if schema.get("additionalProperties") is not False] == []


def test_every_value_has_a_default_and_every_default_is_a_value() -> None:
    def same(schema: dict[str, Any], values: dict[str, Any]) -> None:
        assert set(schema["properties"]) - {"global"} == set(values)
        for name, value in values.items():
            node = schema["properties"][name]
            if "properties" in node and value and name not in ("resources", "issuerRef"):
                same(node, value)

    same(SCHEMA, VALUES)


def test_the_chart_knows_the_controllers_that_the_code_knows() -> None:
    assert tuple(VALUES["engineControllers"]) == ENGINE_CONTROLLERS


def test_there_is_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == VERSION
    # Whoever copies a command or an overlay gets the image of this version.
    overlays = ("deploy/kustomization.yaml", "deploy/uninstall/kustomization.yaml")
    for path in ("docs/operations.md", "charts/execution-options/README.md", *overlays):
        named = re.findall(r"(?:/execution-options:|newTag: )([0-9.]*[0-9])", (ROOT / path).read_text())
        assert named
        assert {*named} == {VERSION}, path


def test_the_definitions_are_those_of_the_repository() -> None:
    names = {f"{one['spec']['names']['plural']}.yaml" for one in crds()}
    for folder in (ROOT / "crds", CHART / "files/crds"):
        assert {path.name for path in folder.iterdir()} == names
    for name in names:
        assert (ROOT / "crds" / name).read_bytes() == (CHART / "files/crds" / name).read_bytes()


def test_no_template_knows_the_namespace() -> None:
    for path in (CHART / "templates").iterdir():
        assert SYSTEM_NAMESPACE not in path.read_text(), path


def test_every_condition_is_one_of_a_document() -> None:
    assert set(CONDITIONS) <= {(one["kind"], one["metadata"]["name"]) for one in rbac()}
    text = templates()["templates/rbac.yaml"]
    assert text.count("{{- if ") == len(CONDITIONS)


def test_alerts_ask_for_metrics_that_exist_and_are_explained() -> None:
    metrics = Metrics()
    metrics.watch_deliveries(lambda: OpenDeliveries({}, 0.0))
    families = {family.name for one in (webhook_metrics.REGISTRY, metrics.registry) for family in one.collect()}
    page = (ROOT / "docs/operations.md").read_text()
    (group,) = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]:
        asked = re.findall(r"execution_options_\w+", rule["expr"])
        assert asked
        assert {re.sub("_(total|bucket)$", "", name) for name in asked} <= families
    alerts = [rule["alert"] for rule in group["rules"]]
    assert re.findall(r"^\| `(ExecutionOptions\w+)` \|", page, re.MULTILINE) == alerts


def test_labels_of_metrics_are_those_that_are_explained() -> None:
    """Of those that have counted nothing yet, too."""
    metrics = Metrics()
    metrics.watch_deliveries(lambda: OpenDeliveries({}, 0.0))
    metrics.watch_groups(lambda: 0)
    metrics.watch_executions(Counter)
    metrics.watch_unreadable(Counter)
    metrics.watch_slots(lambda: (0, 0))
    found: dict[str, set[str]] = {}
    for registry in (webhook_metrics.REGISTRY, metrics.registry):
        for collector in registry._collector_to_names:
            for family in collector.collect():
                labels: tuple[str, ...] = getattr(collector, "_labelnames", ()) or getattr(family, "_labelnames", ())
                found[family.name.removesuffix("_total")] = set(labels)
    page = (ROOT / "docs/operations.md").read_text()
    cells = "".join(re.findall(r"^\| (`execution_options_.*?) \|", page, re.MULTILINE))
    explained = re.findall(r"`(execution_options_\w+?)(?:_total)?(?:\{([\w,]+)\})?`", cells)
    assert {name: set(filter(None, labels.split(","))) for name, labels in explained} == found
