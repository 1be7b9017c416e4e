from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from execution_options.cluster import binaries
from execution_options.cluster.binaries import REQUIRED, built, find_installed, fits, locate_helm, require_supported
from execution_options.cluster.errors import ClusterError
from execution_options.cluster.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM_PATH = "/bin:/usr/bin"


def install(folder: Path, names: tuple[str, ...], *, server: str = "v1.34.1", client: str = "v1.34.1") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    answers = {
        "kube-apiserver": f"Kubernetes {server}",
        "kubectl": json.dumps({"clientVersion": {"gitVersion": client}}),
    }
    for name in names:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{answers.get(name, '')}'\n")
        program.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("PATH", SYSTEM_PATH)
    return tmp_path


def test_a_whole_set_is_used(folder: Path) -> None:
    install(folder, REQUIRED)
    programs = find_installed()
    assert programs is not None
    assert programs.paths == {name: folder / name for name in REQUIRED}


def test_a_set_may_lie_in_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets, path = tmp_path / "assets", tmp_path / "path"
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    monkeypatch.setenv("PATH", f"{path}:{SYSTEM_PATH}")
    install(assets, ("etcd", "kube-apiserver", "kubectl"))
    install(path, (*REQUIRED, "helm"))
    programs = find_installed()
    assert programs is not None
    assert programs.paths["etcd"] == assets / "etcd"
    assert programs.paths["kwok"] == path / "kwok"
    assert programs.paths["helm"] == path / "helm"


def test_an_installed_helm_is_used_with_its_set_alone(folder: Path) -> None:
    install(folder, (*REQUIRED, "helm"))
    assert locate_helm(Progress()) == folder / "helm"


def test_helm_beside_an_incomplete_set_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, ("helm",))
    monkeypatch.setattr(binaries, "ensure_built", lambda cache, progress, program: folder / program.name / "built")
    assert locate_helm(Progress()) == folder / "helm" / "built"


@pytest.mark.parametrize("missing", REQUIRED)
def test_an_incomplete_set_is_not_used(folder: Path, missing: str) -> None:
    install(folder, tuple(name for name in REQUIRED if name != missing))
    assert find_installed() is None


@pytest.mark.parametrize(
    ("server", "client", "expected"),
    [
        ("v1.31.0", "v1.31.0", True),
        ("v1.30.9", "v1.31.0", False),
        ("v1.34.0", "v1.35.2", True),
        ("v1.34.0", "v1.33.2", True),
        ("v1.34.0", "v1.36.0", False),
        ("nonsense", "v1.34.0", False),
        ("v1.34.0", "nonsense", False),
    ],
)
def test_versions_must_fit(folder: Path, server: str, client: str, expected: bool) -> None:
    install(folder, REQUIRED, server=server, client=client)
    assert (find_installed() is not None) is expected


def test_fits_asks_for_one_major_version() -> None:
    assert not fits((2, 0), (1, 0))


def test_links_replace_what_was_there(tmp_path: Path) -> None:
    binary, links = tmp_path / "controlplane", tmp_path / "bin"
    binary.touch()
    links.mkdir()
    (links / "etcd").symlink_to("/nowhere")
    built(binary).link_into(links)
    assert {link.name for link in links.iterdir()} == set(REQUIRED)
    assert all(link.resolve() == binary for link in links.iterdir())


@pytest.mark.parametrize("version", ["v1.30.4", "v0.9.0", "unknown"])
def test_too_old_a_cluster_is_refused(version: str) -> None:
    with pytest.raises(ClusterError, match=rf"runs Kubernetes {version}; at least 1\.31 is needed"):
        require_supported(version)


def test_a_supported_cluster_is_not() -> None:
    require_supported("v1.31.0+k3s1")
