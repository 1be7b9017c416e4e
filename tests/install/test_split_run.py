"""What looks back on a run that is split over workers sees what each of them left."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.workers import Worker

if TYPE_CHECKING:
    from pathlib import Path


WORKER = """
import sys
from pathlib import Path
from support.workers import Worker

worker = Worker(Path(sys.argv[1]))
worker.begin()
print(flush=True)
input()
"""


def folders(parent: Path, count: int) -> list[Path]:
    made = [parent / f"worker-{number}" for number in range(count)]
    for folder in made:
        folder.mkdir()
    return made


def test_it_waits_until_the_others_have_ended(tmp_path: Path) -> None:
    first, second, third = map(Worker, folders(tmp_path, 3))
    for worker in (first, second, third):
        worker.begin()
    log = tmp_path / "audit.log"
    log.write_text("{}")
    second.leave(log)
    second.end()
    with pytest.raises(AssertionError):
        first.audit_logs_of_others(0.1)
    third.end()  # it had no control plane
    assert first.audit_logs_of_others(5) == [tmp_path / "worker-1" / "audit.log"]
    first.end()


def test_a_worker_that_is_killed_is_not_waited_for(tmp_path: Path) -> None:
    own, other = folders(tmp_path, 2)
    first = Worker(own)
    first.begin()
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(other)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(AssertionError):
            first.audit_logs_of_others(0.1)
        process.kill()
    assert first.audit_logs_of_others(5) == []
    first.end()
