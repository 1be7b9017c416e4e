"""Signals are ignored without a word, however many are on their way."""

from __future__ import annotations

import subprocess
import sys

IMPATIENT = """
import os, signal, subprocess
from execution_options.processes import ignore

signal.signal(signal.SIGTERM, lambda *_: None)
send = 'while kill -TERM "$1"; do :; done'
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
sender = subprocess.Popen(["sh", "-c", send, "sh", str(os.getpid())], **quiet)
try:
    for _ in range(20000):
        signal.signal(signal.SIGTERM, lambda *_: None)
        for _ in range(100):
            pass
        ignore([signal.SIGTERM])
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
finally:
    sender.kill()
    sender.wait()
"""
"""Each round has a signal on its way; where they are just ignored, Python complains of some."""


def test_signals_that_are_on_their_way_are_ignored_too() -> None:
    done = subprocess.run([sys.executable, "-c", IMPATIENT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
