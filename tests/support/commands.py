"""The command line, as a user types it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from click.testing import CliRunner

from execution_options.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Answer(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


def execution_options(*arguments: str, kubeconfig: Path) -> Answer:
    """Run ``execution-options`` as a process."""
    command = [sys.executable, "-m", "execution_options", *arguments, "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=60)
    return Answer(done.returncode, done.stdout, done.stderr)


def called(*arguments: str, kubeconfig: Path, manifests: list[dict[str, Any]] | str = "") -> Answer:
    """Call a command that leaves the process as it was; manifests are its standard input."""
    text = manifests if isinstance(manifests, str) else "\n---\n".join(json.dumps(one) for one in manifests)
    result = CliRunner().invoke(main, [*arguments, "--kubeconfig", str(kubeconfig)], input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def asked(*arguments: str, kubeconfig: Path, answer: str) -> Answer:
    """Run ``execution-options`` at a terminal, where somebody gives an answer."""
    terminal, side = pty.openpty()
    command = [sys.executable, "-m", "execution_options", *arguments, "--kubeconfig", str(kubeconfig)]
    try:
        with subprocess.Popen(
            command, stdin=side, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            os.write(terminal, f"{answer}\n".encode())
            out, err = process.communicate(timeout=60)
    finally:
        os.close(terminal)
        os.close(side)
    return Answer(process.returncode, out, err)


def of_namespace(kubeconfig: Path, namespace: str, folder: Path) -> Path:
    """A kubeconfig whose contexts are in a namespace."""
    document = yaml.safe_load(kubeconfig.read_text())
    for one in document["contexts"]:
        one["context"]["namespace"] = namespace
    file = folder / "of-namespace"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(document))
    return file


class Started(subprocess.Popen[str]):
    """A command that goes on until it is told to stop."""

    def waits_for(self, text: str) -> str:
        """The first line, which begins with the text."""
        assert self.stdout is not None
        line = self.stdout.readline()
        assert line.startswith(text), line + self.rest()
        return line

    def rest(self) -> str:
        """What else it says until it ends."""
        out, err = self.communicate(timeout=60)
        return out + err


@contextmanager
def started(*arguments: str, kubeconfig: Path) -> Iterator[Started]:
    """Start ``execution-options`` as a process; it is killed in the end."""
    command = [sys.executable, "-m", "execution_options", *arguments, "--kubeconfig", str(kubeconfig)]
    with Started(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
