"""Processor time that one admission and one status event of each engine cost, without a cluster."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from benchmarks import table
from execution_options.admission.creation import decide
from execution_options.api.meta import PartialObject
from execution_options.api.resources import load
from execution_options.controller.cache.objects import kind_of
from execution_options.engines.artifacts import Repositories
from execution_options.engines.facts import execution_of
from execution_options.engines.registry import builtin_engines

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.engines.profile import Engine

EXECUTIONS = Path(__file__).parents[1] / "tests" / "engines" / "e2e" / "executions.yaml"
ROUNDS = 60
STEPS = 500
AIM_MS = 10.0

OPTIONS: dict[str, Any] = {
    "selector": {},
    "labels": {f"example.com/label-{number}": f"value-{number}" for number in range(8)},
    "annotations": {f"example.com/note-{number}": "x" * 60 for number in range(4)},
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
    "rawOutputDataConfig": {"outputLocationPrefix": "s3://bucket/prefix"},
    "maxParallelism": 4,
    "overwriteCache": True,
    "envs": [{"name": f"NAME_{number}", "value": "value"} for number in range(8)],
}
CANDIDATES = [
    load(
        {
            "apiVersion": "execution.dev/v1beta1",
            "kind": "ExecutionOptions",
            "metadata": {"name": "everything", "namespace": "team"},
            "spec": OPTIONS,
        }
    )
]
REPOSITORIES = Repositories(has_default=True, entries={"s3.bucket": "s3: {}"})


def run() -> None:
    """Run the benchmark."""
    rows, worst = [], 0.0
    engines = builtin_engines()
    cases = [(case["engine"], case["manifest"], case.get("specification")) for case in _cases()]
    cases.append(("argo-workflow", _workflow(), None))
    for name, manifest, specification in cases:
        engine, body = engines[name], msgspec.json.encode(manifest)
        admission = _milliseconds(partial(_admit, engine, body, specification))
        decode = partial(msgspec.json.Decoder(kind_of(engine)).decode, body)
        event, kept = _milliseconds(decode), _kilobytes(decode)
        rows.append([name, f"{len(body) / 1000:.1f}", f"{admission:.2f}", f"{event:.2f}", f"{kept:.1f}"])
        worst = max(worst, admission + event)
    table.show(
        "One admission and one status event, by engine; the last is an Argo Workflow of 500 steps",
        ["engine", "KB", "admission ms", "event ms", "kept KB"],
        rows,
    )
    table.aim("the dearest, admission and event, ms", worst, AIM_MS, at_most=True)


def _cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(EXECUTIONS.read_text())
    return found


def _admit(engine: Engine, body: bytes, specification: dict[str, Any] | None) -> bytes:
    """What the webhook does with a request, apart from reading what it needs of the cluster."""
    metadata = _METADATA.decode(body).metadata
    execution = execution_of(engine, metadata, "team", {})
    document = msgspec.json.decode(body)
    decision = decide(engine, document, execution, CANDIDATES, "0123456789abcdef", specification, REPOSITORIES)
    return msgspec.json.encode(decision.operations)


_METADATA = msgspec.json.Decoder(PartialObject)


def _workflow() -> dict[str, Any]:
    """An Argo Workflow of about a megabyte: a graph of 500 steps that have run, of which one failed."""
    steps = [f"step-{number}" for number in range(STEPS)]
    tasks = [
        {
            "name": step,
            "template": "work",
            "dependencies": [steps[number // 2]] if number else [],
            "arguments": {"parameters": [{"name": "input", "value": f"s3://bucket/input/{step}/" + "p" * 100}]},
        }
        for number, step in enumerate(steps)
    ]
    nodes = {
        f"run-{1000000000 + number}": {
            "id": f"run-{1000000000 + number}",
            "name": f"run.{step}",
            "displayName": step,
            "type": "Pod",
            "templateName": "work",
            "templateScope": "local/run",
            "phase": "Failed" if number == STEPS - 1 else "Succeeded",
            "message": "main: Error (exit code 1)" if number == STEPS - 1 else "",
            "boundaryID": "run",
            "startedAt": "2026-11-01T10:00:00Z",
            "finishedAt": "2026-11-01T10:05:00Z",
            "progress": "1/1",
            "resourcesDuration": {"cpu": 300, "memory": 3000},
            "inputs": {"parameters": [{"name": "input", "value": f"s3://bucket/input/{step}/" + "p" * 300}]},
            "outputs": {
                "exitCode": "0",
                "parameters": [{"name": "metrics", "value": "m" * 400, "valueFrom": {"path": "/tmp/metrics"}}],
                "artifacts": [{"name": "main-logs", "s3": {"key": f"prefix/team/run/{step}/main.log"}}],
            },
            "children": [f"run-{1000000000 + 2 * number + 1}"],
            "hostNodeName": "node-1.example.com",
        }
        for number, step in enumerate(steps)
    }
    templates = [
        {"name": "main", "dag": {"tasks": tasks}},
        {"name": "work", "container": {"image": "example.com/work", "command": ["work"], "args": ["{{inputs}}"]}},
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "run"},
        "spec": {"entrypoint": "main", "templates": templates},
        "status": {"phase": "Failed", "startedAt": "t", "finishedAt": "t", "nodes": nodes},
    }


def _milliseconds(work: Callable[[], object]) -> float:
    """Median processor time of this thread."""
    work()
    spent = []
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        work()
        spent.append(time.thread_time_ns() - began)
    return statistics.median(spent) / 1e6


def _kilobytes(make: Callable[[], object]) -> float:
    """Memory that stays with what is made."""
    gc.collect()
    tracemalloc.start()
    kept = make()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return size / 1000
