"""Helm 3, which the control plane's own binary cannot hold beside Helm 4: a program of its own, as published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from execution_options.cluster.build import GoProgram, ensure_built
from execution_options.cluster.paths import cache_root

if TYPE_CHECKING:
    from execution_options.cluster.progress import Progress

NAME = "Helm 3"
SOURCES = Path(__file__).parents[1] / "install" / "programs" / "helm3"


def build(progress: Progress) -> Path:
    """The program, built if that has not been done."""
    go_mod = (SOURCES / "go.mod").read_text()
    helm, client = (re.search(rf"{module} (v\S+)", go_mod) for module in (r"helm\.sh/helm/v3", r"k8s\.io/client-go"))
    assert helm is not None
    assert client is not None
    # As its own releases are built: without the last two it takes every cluster for an old one when it renders.
    minor = client[1].split(".")[1]
    stamps = [("internal/version.version", helm[1])]
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        stamps += [(f"{package}.k8sVersionMajor", "1"), (f"{package}.k8sVersionMinor", minor)]
    program = GoProgram("helm3", NAME, SOURCES, tuple((f"helm.sh/helm/v3/{name}", value) for name, value in stamps))
    return ensure_built(cache_root(), progress, program)
