"""The processes of a test run that pytest-xdist splits, each with a control plane of its own."""

from __future__ import annotations

import fcntl
import shutil
from typing import TYPE_CHECKING

from .waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

_LOCK, _AUDIT_LOG = "running", "audit.log"


class Worker:
    """One of these processes, as the others see it: whether it still runs tests, and what it leaves.

    Args:
        folder: a folder of its own, beside those of the other workers of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: TextIO | None = None

    def begin(self) -> None:
        """Say that tests will run. However this process ends, that ends with it."""
        self._lock = (self._folder / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def leave(self, audit_log: Path) -> None:
        """Keep a control plane's audit log for whoever looks back on the run."""
        shutil.copy(audit_log, self._folder / _AUDIT_LOG)

    def end(self) -> None:
        """Say that all tests of this process have run."""
        if self._lock is not None:
            self._lock.close()

    def audit_logs_of_others(self, timeout: float) -> list[Path]:
        """What the other workers left, once their tests have run.

        Args:
            timeout: seconds to wait for that.

        Raises:
            AssertionError: some still run.
        """
        others = [path.parent for path in self._folder.parent.glob(f"*/{_LOCK}") if path.parent != self._folder]
        eventually(lambda: not any(map(_runs, others)), timeout=timeout, interval=0.5)
        return [log for folder in others if (log := folder / _AUDIT_LOG).exists()]


def _runs(folder: Path) -> bool:
    with (folder / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
