"""Builds the control plane's binary from its Go modules, once per content of its inputs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ClusterError
from .process import guarded
from .toolchain import find_go, required_go_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .progress import Progress

SOURCES = Path(__file__).with_name("controlplane")
"""The Go main that imports every program, with the go.mod and go.sum that pin what is built."""

_LOCK_POLL_SECONDS = 0.2
_MODULE_POLL_SECONDS = 0.5


def kubernetes_version(go_mod: str) -> str:
    """The version of k8s.io/kubernetes that a go.mod's text pins, such as `v1.37.2`.

    Raises:
        ClusterError: It pins none.
    """
    match = re.search(r"^\s*k8s\.io/kubernetes\s+(v\d+\.\d+\.\d+\S*)", go_mod, re.MULTILINE)
    if match is None:
        raise ClusterError("go.mod does not require k8s.io/kubernetes: the package's own files are damaged")
    return match[1]


def build_flags(go_mod: str) -> list[str]:
    """The flags of `go build`. Without the version stamps kubectl cannot parse the server's version."""
    version = kubernetes_version(go_mod)
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    values = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())
    return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {values}"]


def build_key(sources: Path) -> str:
    """A hash of everything that decides what the binary is: sources, pinned modules, flags, platform."""
    digest = hashlib.sha256()
    inputs = {path.name: path.read_bytes() for path in sources.iterdir() if path.suffix in {".go", ".mod", ".sum"}}
    flags = build_flags(inputs["go.mod"].decode())
    described = {name: hashlib.sha256(content).hexdigest() for name, content in inputs.items()}
    digest.update(json.dumps([described, flags, platform.system(), platform.machine()], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def ensure_built(cache: Path, progress: Progress, sources: Path = SOURCES) -> Path:
    """The path of the control plane's binary; builds it if the cache does not hold it yet.

    Two callers at once share one build. An interrupted build leaves the cache as it was, and the next one continues
    from Go's own build cache.

    Raises:
        ClusterError: There is no Go toolchain, or the build failed.
    """
    binary = cache / "controlplane" / build_key(sources) / "controlplane"
    if binary.exists():
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with _locked(binary.parent / ".lock", progress):
        if not binary.exists():
            go_mod = (sources / "go.mod").read_text(encoding="utf-8")
            go = find_go(required_go_version(go_mod), cache, progress)
            _Build(go, sources, build_flags(go_mod), progress).run(binary)
            progress.finish("built the control plane")
    return binary


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.update("waiting for a build of the control plane by another process")
                time.sleep(_LOCK_POLL_SECONDS)
        yield


class _Build:
    """One run of the Go toolchain: modules, packages, linking."""

    def __init__(self, go: Path, sources: Path, flags: Sequence[str], progress: Progress) -> None:
        self._go = go
        self._sources = sources
        self._flags = flags
        self._progress = progress
        # GOTOOLCHAIN=local: build with the program that was chosen. GOFLAGS: not the user's, so that builds agree.
        self._environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }

    def run(self, binary: Path) -> None:
        """Build into `binary`, which appears only when it is whole."""
        self._download_modules()
        self._progress.update("counting packages")
        total = len(self._output("list", "-deps", ".").splitlines())
        # A folder of its own: what a killed build left is never taken for the result, and is cleared by the next.
        for leftover in binary.parent.glob(".building-*"):
            leftover.unlink()
        handle, temporary = tempfile.mkstemp(dir=binary.parent, prefix=".building-")
        os.close(handle)
        try:
            self._compile(Path(temporary), total)
            Path(temporary).chmod(0o755)
            Path(temporary).replace(binary)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _download_modules(self) -> None:
        archives = self._module_archives()
        step = "downloading modules"
        with self._running("mod", "download") as process:
            output = _Lines(process.stderr or ())
            while process.poll() is None:
                self._progress.update(step, sum(archive.exists() for archive in archives), len(archives))
                output.wait(_MODULE_POLL_SECONDS)
            self._check(process, output)

    def _module_archives(self) -> list[Path]:
        """Where the module cache keeps the archive of each required module once it is downloaded and verified."""
        cache = Path(self._output("env", "GOMODCACHE").strip()) / "cache" / "download"
        go_mod = json.loads(self._output("mod", "edit", "-json"))
        replaced = {entry["Old"]["Path"]: entry["New"] for entry in go_mod.get("Replace") or []}
        modules = [replaced.get(entry["Path"], entry) for entry in go_mod.get("Require") or []]
        return [
            cache / _escaped(module["Path"]) / "@v" / f"{_escaped(module['Version'])}.ziphash"
            for module in modules
            if module.get("Version")
        ]

    def _compile(self, output_path: Path, total: int) -> None:
        main_package = self._output("list", ".").strip()
        with self._running("build", "-v", *self._flags, "-o", str(output_path), ".") as process:
            output = _Lines(process.stderr or ())
            compiled, step = 0, "compiling packages"
            while process.poll() is None:
                compiled = len(output.lines)
                if output.lines and output.lines[-1] == main_package:
                    self._progress.update("linking")
                else:
                    # Packages that Go's build cache already holds are not compiled, so this may end before the total.
                    self._progress.update(step, compiled, total)
                output.wait(_MODULE_POLL_SECONDS)
            self._check(process, output)

    def _output(self, *arguments: str) -> str:
        with self._running(*arguments) as process:
            out, err = process.communicate()
        if process.returncode != 0:
            raise ClusterError(f"go {arguments[0]} failed: {_reason(err.splitlines())}")
        return out

    @contextmanager
    def _running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            guarded([str(self._go), *arguments]),
            cwd=self._sources,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                # Interrupted: end the compilers, too. After a normal end the process and its group have gone.
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def _check(self, process: subprocess.Popen[str], output: _Lines) -> None:
        output.join()
        if process.returncode != 0:
            raise ClusterError(f"building the control plane failed: {_reason(output.lines)}")


class _Lines:
    """The lines that a process writes, read as they come so that its pipe never fills."""

    def __init__(self, stream: Iterable[str]) -> None:
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: Iterable[str]) -> None:
        self.lines.extend(line.rstrip() for line in stream)

    def wait(self, seconds: float) -> None:
        """Wait for the end of the output, at most `seconds`."""
        self._reader.join(seconds)

    def join(self) -> None:
        """Wait for the end of the output."""
        self._reader.join()


def _escaped(path: str) -> str:
    # The module cache lives on file systems that ignore case: a capital is written as `!` and the small letter.
    return re.sub(r"[A-Z]", lambda capital: f"!{capital[0].lower()}", path)


def _reason(lines: Sequence[str]) -> str:
    # `go build -v` mixes package names with errors; only the latter contain a space.
    errors = [line for line in lines if " " in line]
    return "; ".join(errors[:3]) if errors else "no reason given"
