"""The command line, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from click.testing import CliRunner

from execution_options.cli import main

if TYPE_CHECKING:
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
