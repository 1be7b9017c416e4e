"""Builds the control plane's binary, and other programs, from Go modules, once per content of their inputs."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from execution_options.processes import guarded

from .errors import ClusterError
from .toolchain import find_go, required_go_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .progress import Progress

SOURCES = Path(__file__).with_name("controlplane")
"""The Go main that imports every program of a control plane, with the go.mod and go.sum that pin what is built."""

_LOCK_POLL_SECONDS = 0.2
_MODULE_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program to build from a folder with a go.mod and a go.sum, which pin all of it.

    The folder holds the program's main package, or else no Go file: then it is the one program that the go.mod's `tool`
    directive names, as published.

    Attributes:
        name: What its file and its folder in the cache are called.
        title: What people call it, such as `the control plane`.
        sources: The folder.
        stamps: Values for variables of its packages, by the variable's full name.
        tags: Go's build tags, which leave out what is not needed.
    """

    name: str
    title: str
    sources: Path
    stamps: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """The main package, as `go build` wants it."""
        return "." if any(self.sources.glob("*.go")) else "tool"

    def flags(self) -> list[str]:
        """The flags of `go build`."""
        values = "".join(f" -X {variable}={value}" for variable, value in self.stamps)
        # The linker drops what debuggers need (-w); not writing it at all saves the compiler a fifth of its time.
        return [
            *self.selection(),
            "-trimpath",
            "-buildvcs=false",
            "-gcflags=all=-dwarf=false",
            "-ldflags",
            f"-s -w{values}",
        ]

    def selection(self) -> list[str]:
        """The flags that choose what of its packages is built."""
        return ["-tags", ",".join(self.tags)] if self.tags else []

    def key(self) -> str:
        """A hash of everything that decides what the binary is: sources, pinned modules, flags, platform."""
        digest = hashlib.sha256()
        inputs = [path for path in self.sources.iterdir() if path.suffix in {".go", ".mod", ".sum"}]
        described = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs}
        parts = [described, self.flags(), platform.system(), platform.machine()]
        digest.update(json.dumps(parts, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    def go(self, cache: Path, progress: Progress) -> Path:
        """A Go toolchain that is new enough for it.

        Raises:
            ClusterError: There is none, and none could be installed.
        """
        return find_go(required_go_version((self.sources / "go.mod").read_text(encoding="utf-8")), cache, progress)


HELM = GoProgram("helm", "Helm", Path(__file__).with_name("helm"))
"""Helm, which few need and which is built for them alone."""


def kubernetes_version(go_mod: str) -> str:
    """The version of k8s.io/kubernetes that a go.mod's text pins, such as `v1.37.2`.

    Raises:
        ClusterError: It pins none.
    """
    match = re.search(r"^\s*k8s\.io/kubernetes\s+(v\d+\.\d+\.\d+\S*)", go_mod, re.MULTILINE)
    if match is None:
        raise ClusterError("go.mod does not require k8s.io/kubernetes: the package's own files are damaged")
    return match[1]


def control_plane(sources: Path = SOURCES) -> GoProgram:
    """The control plane. Without the version stamps its kubectl cannot parse the server's version.

    Raises:
        ClusterError: The go.mod pins no Kubernetes.
    """
    version = kubernetes_version((sources / "go.mod").read_text(encoding="utf-8"))
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    stamps = tuple((f"k8s.io/component-base/version.{key}", value) for key, value in values.items())
    return GoProgram("controlplane", "the control plane", sources, stamps)


def ensure_built(cache: Path, progress: Progress, program: GoProgram | None = None) -> Path:
    """The path of a program's binary (the control plane's by default); builds it if the cache does not hold it yet.

    Two callers at once share one build. An interrupted build leaves the cache as it was, and the next one continues
    from Go's own build cache.

    Raises:
        ClusterError: There is no Go toolchain, or the build failed.
    """
    program = control_plane() if program is None else program
    binary = cache / program.name / program.key() / program.name
    if binary.exists():
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with _locked(binary.parent / ".lock", program.title, progress):
        if not binary.exists():
            _Build(program.go(cache, progress), program, progress).run(binary)
            progress.finish(f"built {program.title}")
    return binary


def go_environment() -> dict[str, str]:
    """The process environment of Go: it uses the program that was chosen, and no settings of the user's."""
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


@contextmanager
def _locked(path: Path, title: str, progress: Progress) -> Iterator[None]:
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.update(f"waiting for a build of {title} by another process")
                time.sleep(_LOCK_POLL_SECONDS)
        yield


class _Build:
    """One run of the Go toolchain: modules, packages, linking."""

    def __init__(self, go: Path, program: GoProgram, progress: Progress) -> None:
        self._go = go
        self._program = program
        self._progress = progress

    def run(self, binary: Path) -> None:
        """Build into `binary`, which appears only when it is whole."""
        self._download_modules()
        self._progress.update("counting packages")
        total = len(self._output("list", *self._program.selection(), "-deps", self._program.package).splitlines())
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
        package = self._program.package
        main_package = self._output("list", package).strip()
        with self._running("build", "-v", *self._program.flags(), "-o", str(output_path), package) as process:
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
            cwd=self._program.sources,
            env=go_environment(),
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
            raise ClusterError(f"building {self._program.title} failed: {_reason(output.lines)}")


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
