"""Flyte 2, Airflow, Dagster and Prefect, each in a virtual environment of its own that is made once."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from execution_options.cluster import ClusterError
from execution_options.cluster.paths import cache_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.cluster.progress import Progress

ROOT: Final = Path(__file__).parents[2]
REQUIREMENTS: Final = {
    "flyte2": ("flyte==2.12.1", "msgspec"),
    "airflow": ("apache-airflow==3.3.2", "msgspec"),
    "dagster": ("dagster==1.13.27", "msgspec"),
    "prefect": ("prefect==3.9.1", "msgspec"),
}
"""The versions that are tried; msgspec is what the operator's package needs to be imported."""


def builder(name: str) -> Callable[[Progress], Path]:
    """What makes the environment of one of them; it returns the environment's Python."""
    return functools.partial(_build, name)


def _build(name: str, progress: Progress) -> Path:
    wanted = REQUIREMENTS[name]
    digest = hashlib.sha256(repr((wanted, sys.version_info[:3])).encode()).hexdigest()[:16]
    folder = cache_root() / f"client-{name}-{digest}"
    python, made = folder / "bin" / "python", folder / ".made"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            progress.update(f"installing {wanted[0]}")
            for command in (
                [sys.executable, "-m", "venv", "--clear", str(folder / "env")],
                [str(folder / "env" / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted],
            ):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise ClusterError(f"{' '.join(command)}: {done.stderr}")
            made.touch()
    return folder / "env" / python.relative_to(folder)


def install_operator(target: Path, copy: Path) -> None:
    """Install the operator's package, as it is here and without its dependencies, into a folder.

    Args:
        target: the folder.
        copy: an empty folder, in which it is built: setuptools leaves what it made where it builds.
    """
    shutil.copytree(ROOT / "operator", copy / "operator", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(copy)], check=True, capture_output=True, text=True)
