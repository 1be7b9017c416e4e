"""The process that runs a control plane: `python -m execution_options.cluster.supervisor ROOT NAME [EMULATED_VERSION]`.

Standard input is its lifeline. The process that started it holds the other end of the pipe; when that end closes, the
control plane ends and its state folder is deleted. The byte `d` detaches it: from then on only SIGTERM ends the control
plane. Its components die with it, even after SIGKILL.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from execution_options.processes import ProcessId, guarded, ignore

from . import kubeconfig, node, pki
from .client import Client
from .components import HOST, SERVICE_IP, Component, Ports, client_kubeconfig, components, environment
from .errors import ClusterError
from .state import ClusterState, ComponentRecord, Phase, Record
from .supervisor_protocol import DETACH

if TYPE_CHECKING:
    from types import FrameType

_START_TIMEOUT_SECONDS = 90.0
_STOP_TIMEOUT_SECONDS = 5.0
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 1.0
_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 5.0
_STABLE_SECONDS = 30.0
_PORT_ATTEMPTS = 5
_PORT_TAKEN = "address already in use"


class _StopRequested(Exception):  # noqa: N818 (control flow, not an error)
    """A signal, or the end of the lifeline."""


class _PortTakenError(Exception):
    """Another process took a port between its choice and its use."""


@dataclass(slots=True)
class _Child:
    component: Component
    process: subprocess.Popen[bytes]
    started: float
    backoff: float = _FIRST_BACKOFF_SECONDS
    restart_at: float | None = None


class Supervisor:
    """Starts the components in order, starts again what dies, and stops everything in reverse order."""

    def __init__(self, state: ClusterState, emulated_version: str | None, lifeline: int) -> None:
        """Prepare to run the cluster whose folders and programs are in `state`.

        Args:
            state: The cluster's folders; `bin` holds the programs.
            emulated_version: See `components`.
            lifeline: File descriptor to read; see the module.
        """
        supervisor = ProcessId.of(os.getpid())
        if supervisor is None:
            raise ClusterError("cannot identify the supervisor's own process")
        self._state = state
        self._lifeline = lifeline
        self._children: dict[str, _Child] = {}
        self._record = Record(Phase.STARTING, "creating certificates", supervisor, emulated_version)
        self._abandoned = False
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._signalled = socket.socketpair()
        self._stop_signal = False

    def run(self) -> int:
        """Run until asked to stop, and return the exit code."""
        self._watch_signals()
        try:
            self._start()
            while True:
                self._pause(self._seconds_to_next_restart())
        except _StopRequested:
            failed = False
        except ClusterError as error:
            failed = True
            self._note(str(error), Phase.FAILED)
        # From here on further signals change nothing; SIGKILL still works.
        ignore((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        self._stop_children()
        if self._abandoned:
            self._state.remove()
        return 1 if failed else 0

    def _watch_signals(self) -> None:
        for end in (self._wakeup, self._signalled):
            end.setblocking(False)
        signal.set_wakeup_fd(self._signalled.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._selector.register(self._lifeline, selectors.EVENT_READ)

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signal = True

    def _pause(self, seconds: float) -> None:
        """Wait for a signal or the lifeline, at most `seconds`; restart what died meanwhile."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._wakeup:
                self._wakeup.recv(4096)
            else:
                self._read_lifeline()
        if self._stop_signal:
            raise _StopRequested
        if self._record.phase is Phase.READY:
            self._restart_dead()

    def _read_lifeline(self) -> None:
        if os.read(self._lifeline, 1) == DETACH:
            self._selector.unregister(self._lifeline)
        else:
            self._abandoned = True
            raise _StopRequested

    def _start(self) -> None:
        self._note("creating certificates")
        pki.create(self._state.pki, SERVICE_IP)
        client = Client(self._state)
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            ports = Ports.free()
            try:
                self._start_components(ports, client)
                break
            except _PortTakenError:
                self._stop_children()
                if attempt == _PORT_ATTEMPTS:
                    raise ClusterError("other processes keep taking the ports chosen for the cluster") from None
        self._note("waiting for the node")
        node.ensure_ready(client, ports.apiserver, _START_TIMEOUT_SECONDS, lambda: self._wait(_POLL_SECONDS))
        self._note("ready", Phase.READY)

    def _start_components(self, ports: Ports, client: Client) -> None:
        self._write_kubeconfigs(ports)
        etcd, apiserver, *clients = components(self._state, ports, self._record.emulated_version)
        # The API server waits for etcd by itself, and its own start is the longest: begin both at once.
        for group in ([etcd, apiserver], clients):
            for component in group:
                self._spawn(component)
            for component in group:
                self._note(f"starting {component.name}")
                self._await_healthy(component, client)

    def _write_kubeconfigs(self, ports: Ports) -> None:
        server = f"https://{HOST}:{ports.apiserver}"
        certificates, context = self._state.pki, self._state.context
        kubeconfig.write(self._state.kubeconfig, server=server, pki=certificates, client="admin", context=context)
        for client in ("kube-controller-manager", "kube-scheduler", "kwok"):
            path = client_kubeconfig(self._state, client)
            kubeconfig.write(path, server=server, pki=certificates, client=client, context=context)

    def _await_healthy(self, component: Component, client: Client) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not client.healthy(component.name, component.port):
            if time.monotonic() >= deadline:
                raise ClusterError(
                    f"{component.name} was not healthy within {_START_TIMEOUT_SECONDS:g} s; its log: "
                    f"{self._log(component)}"
                )
            self._wait(_POLL_SECONDS)

    def _wait(self, seconds: float) -> None:
        """Pause during the start, when a component that ends is not restarted but reported."""
        self._pause(seconds)
        for child in self._children.values():
            if child.process.poll() is not None:
                self._report_early_end(child)

    def _report_early_end(self, child: _Child) -> NoReturn:
        log = self._log(child.component)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if any(_PORT_TAKEN in line for line in lines):
            raise _PortTakenError
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        raise ClusterError(
            f"{child.component.name} ended with {child.process.returncode} during the start: {last[:300]} (log: {log})"
        )

    def _spawn(self, component: Component) -> _Child:
        program = self._state.bin / component.name
        with self._log(component).open("ab") as log:
            process = subprocess.Popen(
                guarded([str(program), *component.arguments]),
                cwd=self._state.folder,
                env=environment(self._state),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        child = _Child(component, process, time.monotonic())
        self._children[component.name] = child
        known = self._record.components.get(component.name)
        restarts = 0 if known is None or self._record.phase is Phase.STARTING else known.restarts + 1
        identity = ProcessId.of(process.pid)
        self._record.components[component.name] = ComponentRecord(identity, component.port, restarts)
        self._state.write(self._record)
        return child

    def _restart_dead(self) -> None:
        now = time.monotonic()
        for child in list(self._children.values()):
            if child.process.poll() is None:
                continue
            if child.restart_at is None:
                if now - child.started >= _STABLE_SECONDS:
                    child.backoff = _FIRST_BACKOFF_SECONDS
                child.restart_at = now + child.backoff
                self._record.components[child.component.name].process = None
                self._state.write(self._record)
                _say(f"{child.component.name} ended with {child.process.returncode}; starts again soon")
            elif now >= child.restart_at:
                backoff = min(child.backoff * 2, _LONGEST_BACKOFF_SECONDS)
                self._spawn(child.component).backoff = backoff

    def _seconds_to_next_restart(self) -> float:
        due = [child.restart_at for child in self._children.values() if child.restart_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else _WATCH_SECONDS

    def _stop_children(self) -> None:
        """Stop the clients of the API server, then the API server, then etcd."""
        children = list(self._children.values())
        for group in (children[2:], children[1:2], children[:1]):
            for child in group:
                child.process.terminate()
            for child in group:
                try:
                    child.process.wait(_STOP_TIMEOUT_SECONDS)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
        self._children.clear()

    def _note(self, message: str, phase: Phase = Phase.STARTING) -> None:
        self._record.phase, self._record.message = phase, message
        self._state.write(self._record)
        _say(message)

    def _log(self, component: Component) -> Path:
        return self._state.logs / f"{component.name}.log"


def _say(message: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {message}", flush=True)


def main(arguments: list[str]) -> int:
    """Run the supervisor with the arguments of the module's docstring."""
    root, name, *rest = arguments
    state = ClusterState(name, Path(root))
    return Supervisor(state, rest[0] if rest else None, sys.stdin.fileno()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
