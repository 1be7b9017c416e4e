"""Run a program that dies with its parent: `python -I -S guard.py PARENT_PID PROGRAM ARGUMENT…`.

Run as a script, by path, because it must start in milliseconds. Where the kernel can signal a child when its parent
dies (Linux), this process requests that and becomes the program. Elsewhere it stays, and polls whether it has another
parent, as it does on every system after its parent has died.
"""

import os
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_ADOPTION_CHECK_SECONDS = 0.2


def _die_with_parent_linux(parent: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"guard: prctl: {os.strerror(ctypes.get_errno())}")
    # If the parent died before the request was in place, the signal would never come.
    if os.getppid() != parent:
        sys.exit("guard: the parent process is gone")


def _supervise(parent: int, command: list[str]) -> int:
    child = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(_ADOPTION_CHECK_SECONDS)
    return child.returncode


def main() -> int:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if os.uname().sysname == "Linux":
        _die_with_parent_linux(parent)
        os.execv(command[0], command)  # noqa: S606
    return _supervise(parent, command)


if __name__ == "__main__":
    sys.exit(main())
