"""Alerts, tried with Prometheus' own tool, and what the chart renders for the Prometheus operator."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.cluster.progress import Progress
from execution_options.install.dashboard import dashboard
from support.promtool import build, definitions
from support.release import CHART
from support.waiting import eventually

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

ALERTS = CHART / "files" / "alerts.yaml"
CASES = Path(__file__).parents[1] / "alerts.yaml"


@pytest.fixture(scope="session")
def promtool() -> Path:
    return build(Progress())


def test_alerts_fire_when_they_should_and_not_otherwise(promtool: Path) -> None:
    checked = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", ALERTS], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tried = subprocess.run([promtool, "test", "rules", CASES], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_prometheus_understands_every_query_of_the_dashboard(promtool: Path, tmp_path: Path) -> None:
    panels = json.loads(dashboard())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(queries)} rules found" in checked.stdout


def test_each_alert_is_tried_when_it_fires_and_when_it_does_not() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    fire = {case["alertname"] for case in cases if case["exp_alerts"]}
    rest = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fire == rest == {rule["alert"] for rule in group["rules"]}


def test_the_prometheus_operator_takes_what_is_rendered(control_plane: Cluster) -> None:
    files = definitions(Progress())
    for file in files:
        control_plane.run_kubectl(["apply", "--server-side", "-f", str(file)])
    try:
        values = [f"--set={name}.enabled=true" for name in ("serviceMonitor", "prometheusRule")]
        values.append("--set=serviceMonitor.interval=30s,prometheusRule.labels.release=prometheus")
        text = control_plane.run_helm(["template", "eo", str(CHART), "--namespace=default", *values]).stdout
        rendered: list[dict[str, Any]] = [
            one for one in yaml.safe_load_all(text) if one and one["apiVersion"].startswith("monitoring.coreos.com")
        ]
        assert {one["kind"] for one in rendered} == {"ServiceMonitor", "PrometheusRule"}
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": rendered})
        apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
        eventually(lambda: control_plane.run_kubectl(apply, input=document), retry_on=(Exception,))
        (rule,) = [one for one in rendered if one["kind"] == "PrometheusRule"]
        assert rule["spec"] == yaml.safe_load(ALERTS.read_text())
    finally:
        for file in files:
            control_plane.run_kubectl(["delete", "-f", str(file), "--wait=false"])
