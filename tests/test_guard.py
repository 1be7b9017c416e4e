"""A guarded program dies with its parent, both ways: by the kernel's signal and by watching for its adoption."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from execution_options import guard
from execution_options.processes import ProcessId
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

_PARENT = """
import json, os, subprocess, sys
guarding = json.loads(sys.argv[1])
subprocess.Popen([sys.executable, *guarding, str(os.getpid()), *sys.argv[2:]], process_group=0)
sys.stdin.read()
"""

_WATCHING = (
    "import sys; sys.path.insert(0, sys.argv[1]); import guard; guard._supervise(int(sys.argv[2]), sys.argv[3:])"
)

_PROGRAM = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid()) + '\\n'); time.sleep(600)"


@pytest.mark.parametrize(
    "guarding",
    [
        pytest.param(
            ["-I", "-S", guard.__file__],
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent"),
            id="signalled",
        ),
        pytest.param(["-c", _WATCHING, str(guard.__file__).rpartition("/")[0]], id="watching"),
    ],
)
def test_the_program_dies_with_a_killed_parent(tmp_path: Path, guarding: list[str]) -> None:
    pid_file = tmp_path / "pid"
    program = [sys.executable, "-c", _PROGRAM, str(pid_file)]
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, json.dumps(guarding), *program], stdin=subprocess.PIPE
    ) as parent:
        written = eventually(lambda: pid_file.exists() and pid_file.read_text().endswith("\n") and pid_file.read_text())
        child = ProcessId.of(int(str(written)))
        assert child is not None
        parent.kill()
    assert child.wait_gone(10)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the program starts, and ends at the first look")
def test_a_program_whose_parent_is_gone_already_never_starts(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = [sys.executable, "-I", "-S", guard.__file__, "1", "/usr/bin/touch", str(touched)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "the parent process is gone" in answer.stderr
    assert not touched.exists()
