"""Flux's own apply and diff of a manifest, as a program (``tests/gitops/programs``)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from execution_options.cluster.build import GoProgram, ensure_built
from execution_options.cluster.paths import cache_root

if TYPE_CHECKING:
    from execution_options.cluster import Cluster
    from execution_options.cluster.progress import Progress

Manifest = dict[str, Any]

PROGRAM: Final = GoProgram("flux-ssa", "Flux's diff", Path(__file__).parents[1] / "gitops" / "programs" / "flux")


def build(progress: Progress) -> Path:
    """The program's binary, built if that has not been done."""
    return ensure_built(cache_root(), progress, PROGRAM)


def run(binary: Path, cluster: Cluster, verb: Literal["apply", "diff"], manifest: Manifest) -> str:
    """What Flux did, or what it would do: ``created``, ``configured`` or ``unchanged``."""
    answer = subprocess.run(
        [binary, str(cluster.kubeconfig), cluster.context, verb],
        input=json.dumps(manifest),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    action: str = json.loads(answer.stdout)
    return action
