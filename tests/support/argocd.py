"""Argo CD's own comparison of a manifest with what is in the cluster, as a program (``tests/gitops/programs``)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from execution_options.cluster.build import GoProgram, ensure_built
from execution_options.cluster.paths import cache_root

if TYPE_CHECKING:
    from execution_options.cluster import Cluster
    from execution_options.cluster.progress import Progress

Manifest = dict[str, Any]

PROGRAM: Final = GoProgram(
    "argocd-diff", "Argo CD's diff", Path(__file__).parents[1] / "gitops" / "programs" / "argocd"
)


_STATUS: Final[Manifest] = {"group": "*", "kind": "*", "jsonPointers": ["/status"]}
"""What Argo CD leaves out unless told otherwise.
https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/ (``ignoreResourceStatusField``)"""


class Compared(NamedTuple):
    """What Argo CD makes of both."""

    synced: bool
    live: Manifest
    predicted: Manifest


def build(progress: Progress) -> Path:
    """The program's binary, built if that has not been done."""
    return ensure_built(cache_root(), progress, PROGRAM)


def compare(
    binary: Path, cluster: Cluster, live: Manifest, target: Manifest, mode: str, ignore: list[Manifest] | None = None
) -> Compared:
    """Compare a manifest with the live object.

    Args:
        binary: of :func:`build`.
        cluster: where the object is.
        live: as it is, with its managed fields.
        target: the manifest.
        mode: ``client``, ``structured`` or ``server``, as the program has it.
        ignore: ``ignoreDifferences`` of the Application.
    """
    answer = subprocess.run(
        [binary, str(cluster.kubeconfig), cluster.context],
        input=json.dumps({"live": live, "target": target, "mode": mode, "ignore": [_STATUS, *(ignore or [])]}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout)
    return Compared(not said["modified"], said["live"], said["predicted"])
