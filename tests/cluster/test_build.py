"""The build and its cache, with a stand-in for the Go toolchain: a script that says what `go` would."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from execution_options.cluster.build import SOURCES, GoProgram, control_plane, ensure_built, kubernetes_version
from execution_options.cluster.errors import ClusterError
from execution_options.cluster.progress import Progress
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAKE_GO = """#!/bin/sh
echo "$*" >> "$FAKE_GO_LOG"
case "$1 $2" in
  "env GOVERSION") echo go1.99.0;;
  "env GOMODCACHE") echo "$FAKE_GO_MODCACHE";;
  "mod edit") echo '{"Require": [{"Path": "example.com/A", "Version": "v1.0.0"}]}';;
  "mod download")
    mkdir -p "$FAKE_GO_MODCACHE/cache/download/example.com/!a/@v"
    touch "$FAKE_GO_MODCACHE/cache/download/example.com/!a/@v/v1.0.0.ziphash";;
  "list -deps") printf 'a\\nb\\nmain\\n';;
  "list ."|"list tool") echo main;;
  "build -v")
    while [ "$1" != "-o" ]; do shift; done
    printf half > "$2"
    echo a >&2
    if [ -n "$FAKE_GO_ERROR" ]; then echo "$FAKE_GO_ERROR" >&2; exit 1; fi
    while [ -e "$FAKE_GO_HOLD" ]; do sleep 0.05; done
    printf whole > "$2"
    echo main >&2;;
esac
"""


class FakeGo:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.hold = folder / "go.log", folder / "hold"
        self.sources, self.cache = folder / "sources", folder / "cache"
        shutil.copytree(SOURCES, self.sources)
        go = folder / "bin" / "go"
        go.parent.mkdir()
        go.write_text(FAKE_GO)
        go.chmod(0o755)
        monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("FAKE_GO_LOG", str(self.log))
        monkeypatch.setenv("FAKE_GO_HOLD", str(self.hold))
        monkeypatch.setenv("FAKE_GO_MODCACHE", str(folder / "modules"))
        monkeypatch.delenv("FAKE_GO_ERROR", raising=False)

    def builds(self) -> int:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return sum(line.startswith("build") for line in lines)

    def build(self) -> Path:
        return ensure_built(self.cache, Progress(io.StringIO()), control_plane(self.sources))

    @contextmanager
    def process(self) -> Iterator[subprocess.Popen[bytes]]:
        """A build in a process of its own, as a user's terminal would start it."""
        code = (
            "import sys; from pathlib import Path; "
            "from execution_options.cluster.build import control_plane, ensure_built; "
            "from execution_options.cluster.progress import Progress; "
            "ensure_built(Path(sys.argv[1]), Progress(), control_plane(Path(sys.argv[2])))"
        )
        command = [sys.executable, "-c", code, str(self.cache), str(self.sources)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def compilers(self) -> list[str]:
        listing = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listing.splitlines() if f"-o {self.cache}" in line]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    return FakeGo(tmp_path, monkeypatch)


def test_tags_choose_what_of_a_program_is_built(tmp_path: Path) -> None:
    whole = GoProgram("program", "a program", tmp_path)
    part = GoProgram("program", "a program", tmp_path, tags=("small", "fast"))
    assert part.flags() == ["-tags", "small,fast", *whole.flags()]
    assert part.key() != whole.key()


def test_the_key_changes_with_each_input_and_with_nothing_else(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    shutil.copytree(SOURCES, sources)
    keys = {control_plane(sources).key()}
    for name in ("main.go", "go.mod", "go.sum"):
        with (sources / name).open("a") as file:
            file.write("// changed\n")
        keys.add(control_plane(sources).key())
    assert len(keys) == 4
    (sources / "README.txt").write_text("not an input")
    assert control_plane(sources).key() in keys


def test_the_flags_stamp_the_version_that_go_mod_pins(tmp_path: Path) -> None:
    go_mod = "module x\nrequire (\n\tk8s.io/kubernetes v1.99.3\n)\n"
    assert kubernetes_version(go_mod) == "v1.99.3"
    (tmp_path / "go.mod").write_text(go_mod)
    stamps = control_plane(tmp_path).flags()[-1]
    assert "gitVersion=v1.99.3" in stamps
    assert "gitMajor=1" in stamps
    assert "gitMinor=99" in stamps


def test_go_mod_without_kubernetes_is_reported() -> None:
    with pytest.raises(ClusterError, match=r"does not require k8s.io/kubernetes"):
        kubernetes_version("module x\n")


def test_the_second_call_builds_nothing(go: FakeGo) -> None:
    binary = go.build()
    assert binary.read_text() == "whole"
    assert os.access(binary, os.X_OK)
    assert go.build() == binary
    assert go.builds() == 1


def test_a_published_program_is_built_from_its_pins_alone(go: FakeGo) -> None:
    for source in go.sources.glob("*.go"):
        source.unlink()
    binary = ensure_built(go.cache, Progress(io.StringIO()), GoProgram("other", "another program", go.sources))
    assert binary.name == "other"
    assert binary.read_text() == "whole"
    assert go.log.read_text().splitlines()[-1].endswith(" tool")
    assert go.build() != binary


def test_two_builds_at_once_share_one(go: FakeGo) -> None:
    go.hold.touch()
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(go.build())) for _ in range(2)]
    # The first from a process of its own: a child that dies with its parent belongs to its main thread.
    with go.process() as first:
        eventually(lambda: go.builds() == 1)
        for thread in threads:
            thread.start()
        go.hold.unlink()
        for thread in threads:
            thread.join()
        assert first.wait(30) == 0
    assert go.builds() == 1
    assert {path.read_text() for path in results} == {"whole"}


def test_a_failed_build_names_the_reason_and_leaves_no_binary(go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO_ERROR", "main.go:3:1: undefined: x")
    with pytest.raises(ClusterError, match=r"building the control plane failed: main.go:3:1: undefined: x"):
        go.build()
    assert not [path for path in go.cache.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_breaks_nothing(go: FakeGo, number: signal.Signals) -> None:
    go.hold.touch()
    with go.process() as process:
        eventually(lambda: go.compilers() and go.builds() == 1)
        process.send_signal(number)
        assert process.wait(30) != 0
    eventually(lambda: not go.compilers())
    assert not list(go.cache.rglob("controlplane/*/controlplane"))
    go.hold.unlink()
    assert go.build().read_text() == "whole"
    assert not list(go.cache.rglob(".building-*"))
