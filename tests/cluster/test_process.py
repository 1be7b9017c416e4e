"""Signals are ignored without a word, however many are on their way."""

from __future__ import annotations

import subprocess
import sys

IMPATIENT = """
import os, signal, threading
from execution_options.cluster.process import ignore

for _ in range(300):
    signal.signal(signal.SIGTERM, lambda *_: None)
    end = threading.Event()

    def send():
        while not end.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    sender = threading.Thread(target=send)  # which no signal reaches
    sender.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    ignore([signal.SIGTERM])
    end.set()
    sender.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
"""


def test_signals_that_are_on_their_way_are_ignored_too() -> None:
    done = subprocess.run([sys.executable, "-c", IMPATIENT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
