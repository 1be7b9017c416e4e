"""Which programs a control plane runs: a whole set that is already there, else the one binary built from modules."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .build import HELM, ensure_built
from .errors import ClusterError
from .paths import cache_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .progress import Progress

SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
REQUIRED = (*SERVERS, "kubectl")
OPTIONAL = ("helm",)

MINIMUM_VERSION = (1, 31)
"""The oldest Kubernetes (major, minor) that is supported."""

_VERSION_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one control plane.

    Attributes:
        paths: From a program's name to its file. A set that was built is one binary, which acts as the program by whose
            name it is called. `helm` is only in a set that was found, and may be missing from it.
    """

    paths: Mapping[str, Path]

    def link_into(self, folder: Path) -> None:
        """Make each program available by its name in `folder`, replacing what is there."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in self.paths.items():
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(path)


def locate(progress: Progress) -> Programs:
    """The programs to run, found in KUBEBUILDER_ASSETS and on PATH or else built.

    Programs are never mixed from both sources: components of different releases do not always work together.

    Raises:
        ClusterError: They had to be built, and that failed.
    """
    return find_installed() or built(ensure_built(cache_root(), progress))


def locate_helm(progress: Progress) -> Path:
    """The helm of a set that is installed, or else a built one.

    Raises:
        ClusterError: It had to be built, and that failed.
    """
    installed = find_installed()
    found = None if installed is None else installed.paths.get("helm")
    return found or ensure_built(cache_root(), progress, HELM)


def built(binary: Path) -> Programs:
    """The set that the one built binary is."""
    return Programs(dict.fromkeys(REQUIRED, binary))


def find_installed() -> Programs | None:
    """The set installed on this machine, or None if it is incomplete, too old, or its parts do not fit."""
    search = os.pathsep.join(filter(None, [os.environ.get("KUBEBUILDER_ASSETS"), os.environ.get("PATH")]))
    found = {name: shutil.which(name, path=search) for name in (*REQUIRED, *OPTIONAL)}
    paths = {name: Path(path) for name, path in found.items() if path is not None}
    if any(name not in paths for name in REQUIRED):
        return None
    server, client = _server_version(paths["kube-apiserver"]), _client_version(paths["kubectl"])
    if server is None or client is None or not fits(server, client):
        return None
    return Programs(paths)


def fits(server: tuple[int, int], client: tuple[int, int]) -> bool:
    """Whether the API server is supported and kubectl within one minor version of it, as its skew policy asks."""
    return server >= MINIMUM_VERSION and server[0] == client[0] and abs(server[1] - client[1]) <= 1


def parse_version(text: str) -> tuple[int, int] | None:
    """Major and minor version in a text such as `Kubernetes v1.37.2`, or None."""
    match = re.search(r"\bv?(\d+)\.(\d+)(?:\.\d+)?", text)
    return (int(match[1]), int(match[2])) if match else None


def require_supported(version: str) -> None:
    """Refuse a server's version that is older than the minimum.

    Raises:
        ClusterError: It is too old, or not a version.
    """
    parsed = parse_version(version)
    if parsed is None or parsed < MINIMUM_VERSION:
        minimum = ".".join(map(str, MINIMUM_VERSION))
        raise ClusterError(f"the cluster runs Kubernetes {version}; at least {minimum} is needed")


def _server_version(program: Path) -> tuple[int, int] | None:
    return parse_version(_output([str(program), "--version"]))


def _client_version(program: Path) -> tuple[int, int] | None:
    try:
        version = json.loads(_output([str(program), "version", "--client", "--output=json"]))
        return parse_version(version["clientVersion"]["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return None


def _output(command: list[str]) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_VERSION_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
