"""One core for the process that is measured, the others for everything else."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def set_apart() -> Iterator[int | None]:
    """A core that this process and those it starts stay away from; ``None`` where there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        yield None
        return
    os.sched_setaffinity(0, usable[1:])
    try:
        yield usable[0]
    finally:
        os.sched_setaffinity(0, usable)


def pin(pid: int, core: int | None) -> None:
    """Let all threads of a process run on ``core`` only."""
    if core is not None:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
