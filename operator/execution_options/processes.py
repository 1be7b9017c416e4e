"""Identifies, guards and signals processes. A pid alone may belong to another process by now."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid with the moment its process started, so that a reused pid is another identity.

    Attributes:
        pid: The process id.
        started: An opaque token of this start; equal only for the very same process.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Identify the running process `pid`; None when there is none (a zombie counts as none)."""
        started = _start_token(pid)
        return None if started is None else cls(pid, started)

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return _start_token(self.pid) == self.started

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to this very process; False when it has gone."""
        if not hasattr(os, "pidfd_open"):
            return self.alive() and _kill(self.pid, number)
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # Checked after the handle is held: from here on it cannot mean another process.
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def wait_gone(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the process to end; whether it has."""
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True


def guarded(command: list[str]) -> list[str]:
    """The command line that runs `command` as a child that dies when this process does, even by SIGKILL.

    Start it from the main thread (Linux ties the child to the thread that forked it) and as the leader of a process
    group (`process_group=0` or `start_new_session=True`).
    """
    return [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *command]


def ignore(signals: Iterable[signal.Signals]) -> None:
    """Ignore signals from now on, in programs that are started from now on, too.

    Python warns if a signal becomes ignored while its handler is about to run. So each signal first gets a handler that
    does nothing, and becomes ignored while signals are blocked.
    """
    numbers = tuple(signals)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _kill(pid: int, number: signal.Signals) -> bool:
    # Without the kernel's help a guard stays beside its program: the signal is for both, one process group.
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def _start_token(pid: int) -> str | None:
    if os.uname().sysname == "Linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The command name, in parentheses, may hold spaces and parentheses; the fields after it do not.
        fields = stat.rpartition(")")[2].split()
        state, start_ticks = fields[0], fields[19]
        return None if state in "ZX" else f"{boot}:{start_ticks}"
    answer = subprocess.run(  # pragma: no cover (not Linux)
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
