"""The `cluster` commands as a user types them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e


class Terminal:
    """Runs commands whose clusters live in a state folder of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._environment = {**os.environ, "EXECUTION_OPTIONS_STATE": str(root), "KUBECONFIG": "/nonexistent"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from execution_options.cli import main; main()", "cluster", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == code, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def processes(self) -> list[str]:
        """Command lines of the processes that belong to the clusters."""
        listing = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listing.splitlines() if str(self.root) in line]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    root = Path(tempfile.mkdtemp(prefix="clusters-"))
    terminal = Terminal(root)
    yield terminal
    terminal.run("down", "--all")
    eventually(lambda: not terminal.processes())
    shutil.rmtree(root)


@contextmanager
def starting(terminal: Terminal) -> Iterator[subprocess.Popen[str]]:
    with terminal.start("up") as process:
        eventually(lambda: any("kube-apiserver" in line for line in terminal.processes()))
        yield process


def test_two_clusters_side_by_side(terminal: Terminal) -> None:
    first = terminal.run("up")
    assert f"export KUBECONFIG={terminal.root}/default/kubeconfig" in first.stdout
    assert "runs already" in terminal.run("up").stdout
    terminal.run("up", "--name", "other", "--emulated-version", "1.34")

    status = terminal.run("status").stdout
    rows = [line.split() for line in status.splitlines()]
    components = {row[0]: row for row in rows if row and row[-1] in {"yes", "no"}}
    assert list(components) == [
        *("supervisor", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
    ]
    assert all(row[-1] == "yes" for row in components.values())

    terminal.run("kubectl", "--", "create", "namespace", "only-here")
    terminal.run("kubectl", "--name", "other", "--", "get", "namespace", "only-here", code=1)
    version = terminal.run("kubectl", "--name", "other", "--", "get", "--raw", "/version").stdout
    assert '"emulationMinor": "34"' in version

    named = ("--kubeconfig", str(terminal.root / "default" / "kubeconfig"))
    for command in ("up", "status"):
        assert "context     execution-options-default" in terminal.run(command, *named).stdout
    assert "has no context 'x'" in terminal.run("status", *named, "--context", "x", code=1).stderr

    terminal.run("down")
    assert "does not run" in terminal.run("status", code=1).stderr
    terminal.run("status", "--name", "other")
    terminal.run("down", "--all")
    assert not terminal.processes()
    assert not list(terminal.root.glob("*/kubeconfig"))


def test_a_killed_supervisor_takes_everything_along_and_the_next_start_works(terminal: Terminal) -> None:
    terminal.run("up")
    row = next(line for line in terminal.run("status").stdout.splitlines() if line.startswith("supervisor"))
    os.kill(int(row.split()[1]), signal.SIGKILL)
    eventually(lambda: not terminal.processes())
    assert "does not run" in terminal.run("status", code=1).stderr
    terminal.run("up")
    terminal.run("status")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_start_leaves_nothing(terminal: Terminal, number: signal.Signals) -> None:
    with starting(terminal) as process:
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode != 0
    eventually(lambda: not terminal.processes())
    eventually(lambda: not (terminal.root / "default").exists())


def test_a_failed_start_says_why(terminal: Terminal) -> None:
    failed = terminal.run("up", "--emulated-version", "1.10", code=1)
    assert "kube-apiserver ended with 1" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not terminal.processes()
    assert "kube-apiserver ended with 1" in terminal.run("status", code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("up", "--name", "Not_A_Label"), 1, "is not a cluster name"),
        (("up", "--emulated-version", "latest"), 1, "is not a Kubernetes minor version"),
        (("up", "--kubeconfig", "/nonexistent"), 1, "there is no kubeconfig /nonexistent"),
        (("up", "--context", "mine"), 1, "there is no kubeconfig /nonexistent"),
        (("up", "--kubeconfig", "x", "--emulated-version", "1.34"), 2, "embedded cluster only"),
        (("down", "--all", "--name", "x"), 2, "exclude each other"),
        (("kubectl", "--", "get", "pods"), 1, "does not run: start it with"),
        (("sideways",), 2, "No such command"),
    ],
)
def test_what_goes_wrong_is_told(terminal: Terminal, arguments: tuple[str, ...], code: int, reason: str) -> None:
    failed = terminal.run(*arguments, code=code)
    assert reason in failed.stderr
    assert "Traceback" not in failed.stderr
