"""Executions of every engine, as their users write them, for what holds of all of them."""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from execution_options.engines.paths import locate
from execution_options.engines.profile import builtin, parse
from execution_options.local import LocalOperator
from support.enginekinds import install_kinds
from support.team import options_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from execution_options.engines.profile import Engine
    from support.enginekinds import Kind
    from support.team import Team

Manifest = dict[str, Any]

EXAMPLE = Path(__file__).parents[2] / "examples" / "engine"
"""The engine that the documentation describes."""
BACKUP = parse((EXAMPLE / "engine.yaml").read_bytes())
ENGINES = {engine.name: engine for engine in (*builtin(), BACKUP)}
CASES: list[Manifest] = [
    *yaml.safe_load((Path(__file__).parent.parent / "engines" / "e2e" / "executions.yaml").read_text()),
    {
        "engine": "backup",
        "manifest": yaml.safe_load((EXAMPLE / "backup.yaml").read_text()),
        "env": ["spec.steps[*].template.spec.containers[*].env"],
    },
]
EVERYTHING: Manifest = {
    "labels": {"cost": "vision", "team": "vision"},
    "annotations": {"example.com/owner": "ana"},
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
    "rawOutputDataConfig": {"outputLocationPrefix": "s3://bucket/prefix"},
    "maxParallelism": 4,
    "overwriteCache": True,
    "envs": [{"name": "REGION", "value": "eu"}, {"name": "STAGE", "value": "production"}],
}
"""The spec of options, with every option that an execution can get."""
MINE = [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "mine"}]


@dataclass(frozen=True)
class Variant:
    """An execution, and the options that it gets: by their selector, or because it refers to them."""

    engine: Engine
    manifest: Manifest
    surroundings: list[Manifest]
    title: str
    fills: bool
    """Whether options only fill in what its author left open."""

    def __str__(self) -> str:
        return self.title

    def prepare(self, team: Team) -> None:
        """Create what the execution needs."""
        for account in ("trainer", "mine"):
            team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}})
        team.kubectl("apply", "-f", "-", manifests=self.surroundings)


def authored(case: Manifest) -> Manifest:
    """A manifest whose author also says something of what options say."""
    manifest: Manifest = copy.deepcopy(case["manifest"])
    metadata = manifest["metadata"]
    metadata["labels"] = {**metadata.get("labels", {}), "team": "mine"}
    (metadata.get("annotations") or {}).pop("execution.dev/options", None)
    for text in case.get("env", ()):
        for place in locate(manifest, text):
            inner: Any = manifest
            for part in place[:-1]:
                inner = inner[part] if isinstance(part, int) else inner.setdefault(part, {})
            inner.setdefault(place[-1], copy.deepcopy(MINE))
    return manifest


def variants() -> list[Variant]:
    """Every engine's execution, once with options that select it and once with options that it refers to."""
    found = []
    for case in CASES:
        engine, others = ENGINES[case["engine"]], [case["specification"]] if "specification" in case else []
        selected, referring = authored(case), authored(case)
        referring["metadata"].setdefault("annotations", {})["execution.dev/options"] = "own"
        if not engine.is_pod:
            options = options_manifest("everything", {"selector": {}, **EVERYTHING})
            found.append(Variant(engine, selected, [options, *others], f"{engine.name}-selected", fills=True))
        found.append(
            Variant(
                engine, referring, [options_manifest("own", EVERYTHING), *others], f"{engine.name}-refers", fills=False
            )
        )
    return found


def read(team: Team, manifest: Manifest, *arguments: str) -> Manifest:
    """The stored object of a manifest."""
    group = manifest["apiVersion"].partition("/")[0]
    kind = manifest["kind"] if group == manifest["apiVersion"] else f"{manifest['kind']}.{group}"
    found: Manifest = json.loads(team.kubectl("get", kind, manifest["metadata"]["name"], "-o", "json", *arguments))
    return found


@contextmanager
def every_engine(cluster: Cluster) -> Iterator[None]:
    """The operator, with every engine's kind, and with the engine of the example."""
    kinds: list[Kind] = []
    for engine in builtin():
        kinds += [*([engine] if "." in engine.group else []), *engine.specifications]
    files = [str(EXAMPLE / f"{name}.yaml") for name in ("definition", "rights", "engine")]
    with LocalOperator(cluster.kubeconfig, cluster.context, controller=("--status-interval", "0.3")):
        install_kinds(cluster, kinds)
        for file in files:
            cluster.run_kubectl(["apply", "-f", file])
        cluster.run_kubectl(["wait", "--for=condition=Ready", "--timeout=110s", "executionengine/backup"])
        yield
        for file in reversed(files):
            cluster.run_kubectl(["delete", "-f", file])
