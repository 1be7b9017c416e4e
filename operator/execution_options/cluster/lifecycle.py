"""Starting and stopping the supervisor of a cluster, and clearing up after one that died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ClusterError
from .state import Phase
from .supervisor_protocol import DETACH

if TYPE_CHECKING:
    from execution_options.processes import ProcessId

    from .binaries import Programs
    from .progress import Progress
    from .state import ClusterState, Record

_POLL_SECONDS = 0.05
_STOP_TIMEOUT_SECONDS = 30.0


def running(state: ClusterState) -> Record | None:
    """The record of a cluster whose supervisor lives, else None."""
    record = state.read()
    return record if record is not None and record.supervisor.alive() else None


class SupervisorHandle:
    """A supervisor that this process started, and ends with unless it is detached."""

    def __init__(self, state: ClusterState, process: subprocess.Popen[bytes], lifeline: int) -> None:
        """Hold a started supervisor by the write end of its lifeline."""
        self._state = state
        self._process = process
        self._lifeline: int | None = lifeline

    def await_ready(self, progress: Progress) -> None:
        """Wait until the cluster is ready. Whatever goes wrong meanwhile, nothing stays running.

        Raises:
            ClusterError: It could not be started.
        """
        try:
            while self._process.poll() is None:
                record = self._state.read()
                if record is not None:
                    if record.phase is Phase.READY:
                        return
                    progress.update(record.message)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.stop()
        record = self._state.read()
        log = self._state.logs / "supervisor.log"
        raise ClusterError(
            record.message if record and record.phase is Phase.FAILED else f"the supervisor ended early; see {log}"
        )

    def detach(self) -> None:
        """Let the cluster outlive this process."""
        if self._lifeline is not None:
            os.write(self._lifeline, DETACH)
            os.close(self._lifeline)
            self._lifeline = None
            # Should this process live on, it collects the exit code of its child.
            threading.Thread(target=self._process.wait, daemon=True).start()

    def stop(self) -> None:
        """End the supervisor and all that it runs."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(
    state: ClusterState,
    programs: Programs,
    emulated_version: str | None,
    audit_policy: str | None,
    admission_configuration: str | None,
) -> SupervisorHandle:
    """Start a supervisor in a fresh state folder. The caller holds the state's lock."""
    state.create()
    files = {state.audit_policy: audit_policy, state.admission_configuration: admission_configuration}
    for file, content in files.items():
        if content is not None:
            file.write_text(content, encoding="utf-8")
    programs.link_into(state.bin)
    arguments = [str(state.root), state.name, *([] if emulated_version is None else [emulated_version])]
    # The package may be importable only from where we are (a source tree): hand our path on.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    read_end, lifeline = os.pipe()
    try:
        with (state.logs / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "execution_options.cluster.supervisor", *arguments],
                cwd=Path("/"),
                env=environment,
                stdin=read_end,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(read_end)
    return SupervisorHandle(state, process, lifeline)


def stop(state: ClusterState) -> None:
    """Stop whatever runs of a cluster and delete its state. The caller holds the state's lock.

    Also after a supervisor that was killed: what it had started is ended, if it still is the process that it was.

    Raises:
        ClusterError: A process cannot be ended.
    """
    record = state.read()
    if record is not None:
        if record.supervisor.signal(signal.SIGTERM):
            record.supervisor.wait_gone(_STOP_TIMEOUT_SECONDS)
        components = [component.process for component in record.components.values()]
        for process in (record.supervisor, *components):
            if process is not None:
                _end(process)
    state.remove()


def _end(process: ProcessId) -> None:
    if process.signal(signal.SIGKILL) and not process.wait_gone(_STOP_TIMEOUT_SECONDS):
        raise ClusterError(f"process {process.pid} does not end")
