"""Runs of engines that have no object of their own in the cluster: their Jobs and pods are selected by their labels."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution_options.admission.creation import decide
from execution_options.api.meta import ObjectMeta
from execution_options.engines.facts import execution_of
from execution_options.engines.registry import builtin_engines
from support.options import NAMESPACE, namespaced
from support.workloads import job, pod

Manifest = dict[str, Any]

AIRFLOW = {
    "dag_id": "etl",
    "task_id": "load",
    "run_id": "scheduled__2026-11-01",
    "try_number": "1",
    "airflow-worker": "7",
}
PREFECT = {"prefect.io/flow-run-id": "1f", "prefect.io/flow-name": "etl", "prefect.io/deployment-name": "nightly"}
DAGSTER = {"app.kubernetes.io/part-of": "dagster", "dagster/job": "etl", "dagster/run-id": "5e"}


@pytest.mark.parametrize(
    ("engine", "document", "selected_by"),
    [
        ("pod", pod("etl-load-x", labels=AIRFLOW), {"dag_id": "etl"}),
        ("pod", pod("etl-load-x", labels=AIRFLOW), {"dag_id": "etl", "run_id": "scheduled__2026-11-01"}),
        ("job", job("etl-x", labels=PREFECT), {"prefect.io/deployment-name": "nightly"}),
        ("job", job("dagster-run-5e", labels=DAGSTER), {"dagster/job": "etl"}),
    ],
)
def test_a_run_gets_options_by_the_labels_that_its_engine_writes(
    engine: str, document: Manifest, selected_by: dict[str, str]
) -> None:
    profile = builtin_engines()[engine]
    metadata = msgspec.convert(document["metadata"], ObjectMeta)
    execution = execution_of(profile, metadata, NAMESPACE, {"execution.dev/pods": "enabled"})
    options = {"labels": {"team": "data"}, "envs": [{"name": "REGION", "value": "eu"}]}
    matching = namespaced("matching", {**options, "selector": {"engines": [engine], "matchLabels": selected_by}})
    other = namespaced("other", {"labels": {"team": "other"}, "selector": {"matchLabels": {"dag_id": "else"}}})
    decide(profile, document, execution, [matching, other], "0a")
    pods = document if engine == "pod" else document["spec"]["template"]
    assert pods["metadata"]["labels"]["team"] == "data"
    assert pods["spec"]["containers"][0]["env"] == [{"name": "REGION", "value": "eu"}]
