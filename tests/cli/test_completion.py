"""A shell completes commands and options by the script that it is given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from execution_options.cli import main

BIN = str(Path(sys.executable).parent)


def script(shell: str) -> str:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    assert "_EXECUTION_OPTIONS_COMPLETE" in script(shell)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["execution-options", "li"], "list"),
        (["execution-options", "list", "del"], "deliveries"),
        (["execution-options", "launch", "--raw"], "--raw-output-data-prefix"),
    ],
)
def test_bash_completes_by_it(words: list[str], wanted: str) -> None:
    ask = (
        f"{script('bash')}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        '_execution_options_completion execution-options; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", ask], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert wanted in done.stdout.split()
