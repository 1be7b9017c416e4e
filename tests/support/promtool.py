"""Prometheus' own tool for rules, and the kinds of the Prometheus operator, from their Go modules."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from execution_options.cluster.build import GoProgram, ensure_built, go_environment
from execution_options.cluster.paths import cache_root

if TYPE_CHECKING:
    from execution_options.cluster.progress import Progress

_SOURCES = Path(__file__).parents[1] / "install" / "programs" / "promtool"
_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"


def program() -> GoProgram:
    """What is to be built: without service discovery, for which it knows every cloud."""
    return GoProgram("promtool", "promtool", _SOURCES, tags=("remove_all_sd",))


def build(progress: Progress) -> Path:
    """The program, built if that has not been done."""
    return ensure_built(cache_root(), progress, program())


def definitions(progress: Progress) -> list[Path]:
    """The files of the Prometheus operator's CustomResourceDefinitions of what the chart renders."""
    answer = subprocess.run(
        [program().go(cache_root(), progress), "mod", "download", "-json", _OPERATOR],
        cwd="/",
        env=go_environment() | {"GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(json.loads(answer.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in ("prometheusrules", "servicemonitors")]
