"""The embedded control plane: a real Kubernetes API of one's own, on loopback, in seconds."""

from __future__ import annotations

import json
import re
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from . import lifecycle
from .binaries import locate, locate_helm
from .client import Client
from .cluster import Cluster
from .errors import ClusterError
from .progress import Progress
from .state import DEFAULT_NAME, ClusterState, ComponentRecord, Phase, Record

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_POLL_SECONDS = 0.05
_HEALTHY_TIMEOUT_SECONDS = 60.0
_EMULATED_VERSION = re.compile(r"1\.\d{2}")


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component as it is now.

    Attributes:
        name: The program's name.
        pid: Its process; None while it is down.
        port: The loopback port on which it answers.
        healthy: Whether its health endpoint answers 200.
        restarts: How often it was started again after it had died.
    """

    name: str
    pid: int | None
    port: int
    healthy: bool
    restarts: int


class ControlPlane(Cluster):
    """An embedded control plane that runs.

    Started with `start`, it ends with this process, however that ends, unless it was started detached. As a context
    manager it ends with the block.

    Attributes:
        name: The cluster's name.
        state_dir: The folder of all its files.
        bin_dir: Its programs by name, `kubectl` among them.
        logs_dir: One log per component.
        audit_log: Requests to the API server, one JSON object a line, where an audit policy was given.
    """

    def __init__(self, state: ClusterState, handle: lifecycle.SupervisorHandle | None) -> None:
        """Use `start` or `attach` instead."""
        super().__init__(state.kubeconfig, state.context, kubectl=state.bin / "kubectl", helm=None)
        self.name = state.name
        self.state_dir = state.folder
        self.bin_dir = state.bin
        self.logs_dir = state.logs
        self.audit_log = state.audit_log
        self._state = state
        self._handle = handle
        self._client = Client(state)

    @classmethod
    def start(
        cls,
        name: str = DEFAULT_NAME,
        *,
        root: Path | None = None,
        emulated_version: str | None = None,
        audit_policy: str | None = None,
        admission_configuration: str | None = None,
        detached: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Start a control plane, building its programs first where that has not been done, and wait until it is ready.

        Args:
            name: A DNS label; several control planes run side by side under different names.
            root: The folder of all clusters' state; by default the user's.
            emulated_version: The Kubernetes minor version to pretend to be, such as `1.34`.
            audit_policy: YAML of an audit `Policy`: what the API server writes to `audit_log`; by default nothing.
            admission_configuration: YAML of an `AdmissionConfiguration` for the API server; by default none.
            detached: Whether it outlives this process.
            progress: Where to show progress; by default on stderr.

        Raises:
            ClusterError: It runs already, or it could not be built or started.
        """
        if emulated_version is not None and not _EMULATED_VERSION.fullmatch(emulated_version):
            raise ClusterError(f"{emulated_version!r} is not a Kubernetes minor version such as 1.34")
        progress = Progress() if progress is None else progress
        state = ClusterState(name, root)
        programs = locate(progress)
        with state.locked():
            if lifecycle.running(state) is not None:
                raise ClusterError(f"cluster {name!r} runs already")
            lifecycle.stop(state)
            handle = lifecycle.start(state, programs, emulated_version, audit_policy, admission_configuration)
            try:
                handle.await_ready(progress)
                if detached:
                    handle.detach()
            finally:
                progress.finish()
        return cls(state, None if detached else handle)

    @classmethod
    def attach(cls, name: str = DEFAULT_NAME, *, root: Path | None = None) -> Self:
        """The control plane of that name, which runs already.

        Raises:
            ClusterError: It does not run, or is not ready.
        """
        state = ClusterState(name, root)
        record = lifecycle.running(state)
        if record is None:
            suffix = "" if name == DEFAULT_NAME else f" --name {name}"
            raise ClusterError(f"cluster {name!r} does not run: start it with 'execution-options cluster up{suffix}'")
        if record.phase is not Phase.READY:
            raise ClusterError(f"cluster {name!r} is not ready: {record.message}")
        return cls(state, None)

    @staticmethod
    def remove(name: str = DEFAULT_NAME, *, root: Path | None = None) -> None:
        """Stop whatever runs of the control plane of that name, whatever state it is in, and delete its state folder.

        Raises:
            ClusterError: A process cannot be ended.
        """
        state = ClusterState(name, root)
        with state.locked():
            lifecycle.stop(state)

    def __enter__(self) -> Self:
        """The control plane itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def find_helm(self) -> Path:
        """The helm to use, built if that has not been done.

        Raises:
            ClusterError: It had to be built, and that failed.
        """
        if self.helm is None:
            self.helm = locate_helm(Progress())
        return self.helm

    def stop(self) -> None:
        """Stop every process and delete the state folder. Harmless when it has stopped already.

        Raises:
            ClusterError: A process cannot be ended.
        """
        if self._handle is not None:
            self._handle.stop()
        self.remove(self.name, root=self._state.root)

    def version(self) -> str:
        """The API server's version, such as `v1.37.2`.

        Raises:
            ClusterError: It does not answer.
        """
        answer = json.loads(self.run_kubectl(["get", "--raw", "/version"]).stdout)
        return str(answer["gitVersion"])

    def components(self) -> list[ComponentStatus]:
        """Every component as it is now, in the order in which they start.

        Raises:
            ClusterError: The control plane does not run.
        """
        return [
            ComponentStatus(
                name=name,
                pid=None if entry.process is None else entry.process.pid,
                port=entry.port,
                healthy=self._healthy(name, entry),
                restarts=entry.restarts,
            )
            for name, entry in self._record().components.items()
        ]

    def kill_component(self, name: str) -> None:
        """Kill a component, as a crash would; its supervisor starts it again. Returns as soon as it is dead.

        Raises:
            ClusterError: There is no such component, or it is down already.
        """
        process = self._component(name).process
        if process is None or not process.signal(signal.SIGKILL):
            raise ClusterError(f"{name} is down")
        if not process.wait_gone(_HEALTHY_TIMEOUT_SECONDS):
            raise ClusterError(f"{name} does not end")

    def restart_component(self, name: str) -> None:
        """Kill a component and wait until the supervisor has started it again and it is healthy.

        Raises:
            ClusterError: There is no such component, or it did not become healthy in time.
        """
        restarts = self._component(name).restarts
        self.kill_component(name)
        self.wait_healthy(name, restarts=restarts + 1)

    def wait_healthy(self, name: str, *, restarts: int = 0, timeout: float = _HEALTHY_TIMEOUT_SECONDS) -> None:
        """Wait until a component is healthy.

        Args:
            name: The component.
            restarts: How often it must have been started again at least.
            timeout: Seconds to wait.

        Raises:
            ClusterError: It is not healthy in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            entry = self._component(name)
            if entry.restarts >= restarts and self._healthy(name, entry):
                return
            if time.monotonic() >= deadline:
                raise ClusterError(f"{name} was not healthy within {timeout:g} s; its log: {self.logs_dir / name}.log")
            time.sleep(_POLL_SECONDS)

    def _healthy(self, name: str, entry: ComponentRecord) -> bool:
        return entry.process is not None and entry.process.alive() and self._client.healthy(name, entry.port)

    def _component(self, name: str) -> ComponentRecord:
        components = self._record().components
        if name not in components:
            raise ClusterError(f"no component {name!r}; there are {', '.join(components)}")
        return components[name]

    def _record(self) -> Record:
        record = lifecycle.running(self._state)
        if record is None:
            raise ClusterError(f"cluster {self.name!r} does not run")
        return record
