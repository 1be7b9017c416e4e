"""The image has no embedded control plane, and the commands for production run without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from execution_options.cli import _COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]


def left_out(folder: Path) -> set[Path]:
    """Paths in a folder of the source tree that .dockerignore keeps out of the image's sources."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith(("#", "!")) and line != "*"]
    found: set[Path] = set()
    for pattern in patterns:
        found |= {path for path in ROOT.glob(pattern) if path.is_relative_to(folder)}
    return found


def wheel(sources: Path, target: Path, excluded: Iterable[Path] = ()) -> Path:
    """Build the wheel of a copy of the sources, as the Dockerfile does, and unpack it.

    Args:
        sources: folder for the copy.
        target: folder for the wheel's content.
        excluded: paths of the source tree that are not copied.

    Returns:
        The folder to import from.
    """
    unwanted = {str(path) for path in excluded}
    shutil.copytree(
        ROOT / "operator",
        sources / "operator",
        ignore=lambda folder, names: [name for name in names if str(Path(folder) / name) in unwanted],
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(sources / "dist"), str(sources)], check=True)
    (built,) = (sources / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(target)
    return target


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has of the operator."""
    excluded = left_out(ROOT / "operator")
    return wheel(tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("image"), excluded)


def command(image: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "execution_options", *arguments],
        env=variables | {"PYTHONPATH": str(image)} | environment,
        cwd=image,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_image_has_the_operator_without_the_control_plane(image: Path) -> None:
    package = image / "execution_options"
    assert (package / "install/rbac.yaml").is_file()
    assert not (package / "cluster").exists()
    assert not list(package.rglob("*.go"))


def test_a_wheel_of_the_whole_source_tree_has_the_control_plane(tmp_path: Path) -> None:
    caches = [path for path in left_out(ROOT / "operator") if path.name != "cluster"]
    whole = wheel(tmp_path / "sources", tmp_path / "whole", caches)
    assert (whole / "execution_options/cluster/controlplane/main.go").is_file()
    assert (whole / "execution_options/cluster/kwok/node.yaml").is_file()


@pytest.mark.parametrize("name", sorted(_COMMANDS.keys() - {"cluster"}))
def test_every_other_command_can_be_imported(image: Path, name: str) -> None:
    done = command(image, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: execution-options {name}")


def test_every_module_of_the_processes_can_be_imported(image: Path) -> None:
    code = (
        "import execution_options.controller.handlers, execution_options.webhook.process, execution_options.local\n"
        "print(execution_options.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(image)},
        cwd=image,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert Path(done.stdout.strip()).is_relative_to(image)


@pytest.mark.parametrize("arguments", [["cluster", "up"], ["cluster", "--help"], ["run"], ["run", "--name", "mine"]])
def test_a_command_that_needs_the_control_plane_says_how_to_get_it(image: Path, arguments: list[str]) -> None:
    done = command(image, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: the embedded control plane (execution_options.cluster) is not part of this")
    assert "'pip install .' in the source tree installs it" in done.stderr


def test_the_operator_runs_in_a_cluster_that_is_named(image: Path, tmp_path: Path) -> None:
    done = command(image, "run", KUBECONFIG=str(tmp_path / "missing"))
    assert done.returncode == 1
    assert "the operator cannot be installed: " in done.stderr
