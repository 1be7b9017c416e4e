"""The state folder of a named cluster, and the record in it of what runs."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from execution_options.processes import ProcessId

from .errors import ClusterError
from .paths import state_root

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_NAME = "default"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RECORD = "state.json"
_LOCK_SUFFIX = ".lock"


class Phase(StrEnum):
    """How far a cluster is."""

    STARTING = "Starting"
    READY = "Ready"
    FAILED = "Failed"


@dataclass(slots=True)
class ComponentRecord:
    """One component as its supervisor last saw it.

    Attributes:
        process: Its process; None while it is down, between an exit and the restart.
        port: The loopback port on which it answers.
        restarts: How often it was started again after it had died.
    """

    process: ProcessId | None
    port: int
    restarts: int = 0


@dataclass(slots=True)
class Record:
    """What runs in a cluster, as its supervisor wrote it down.

    Attributes:
        phase: How far it is.
        message: What is being done, or why it failed.
        supervisor: The supervising process.
        emulated_version: The Kubernetes minor version it pretends to be, such as `1.34`.
        components: By name, in the order in which they start.
    """

    phase: Phase
    message: str
    supervisor: ProcessId
    emulated_version: str | None = None
    components: dict[str, ComponentRecord] = field(default_factory=dict)

    def to_json(self) -> str:
        """The record as it is written to the state folder."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The inverse of `to_json`.

        Raises:
            ValueError: The text is not a record.
        """
        try:
            data = json.loads(text)
            components = {
                name: ComponentRecord(_process(entry["process"]), entry["port"], entry["restarts"])
                for name, entry in data["components"].items()
            }
            return cls(
                Phase(data["phase"]),
                data["message"],
                ProcessId(**data["supervisor"]),
                data["emulated_version"],
                components,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a cluster's record: {error!r}") from error


class ClusterState:
    """Files of one cluster: certificates, kubeconfig, data, logs, and the record of what runs."""

    def __init__(self, name: str = DEFAULT_NAME, root: Path | None = None) -> None:
        """Name a cluster's state; nothing is created yet.

        Args:
            name: A DNS label.
            root: The folder of all clusters; by default the user's.

        Raises:
            ClusterError: The name is not a DNS label.
        """
        if not _NAME.fullmatch(name):
            raise ClusterError(f"{name!r} is not a cluster name: use lower-case letters, digits and '-', at most 63")
        self.name = name
        self.root = state_root() if root is None else root.absolute()
        self.folder = self.root / name
        self.kubeconfig = self.folder / "kubeconfig"
        self.pki = self.folder / "pki"
        self.bin = self.folder / "bin"
        self.logs = self.folder / "logs"
        self.data = self.folder / "data"
        self.audit_policy = self.folder / "audit-policy.yaml"
        self.admission_configuration = self.folder / "admission-configuration.yaml"
        self.audit_log = self.logs / "audit.log"

    @property
    def context(self) -> str:
        """The name of the kubeconfig's context, cluster and user."""
        return f"execution-options-{self.name}"

    def create(self) -> None:
        """Create the empty folders, for their owner only."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.pki, self.logs, self.data):
            folder.mkdir(mode=0o700)

    def remove(self) -> None:
        """Delete everything. Its processes must have ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def read(self) -> Record | None:
        """The record, or None where there is none that can be read."""
        try:
            return Record.from_json((self.folder / _RECORD).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    def write(self, record: Record) -> None:
        """Replace the record in one step, so that no reader ever sees half of it."""
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{_RECORD}-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(record.to_json())
        Path(temporary).replace(self.folder / _RECORD)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from starting or stopping this cluster meanwhile."""
        self.root.mkdir(parents=True, exist_ok=True)
        # Beside the folder, and never deleted: a lock on a file that another process removed protects nothing.
        with (self.root / f"{self.name}{_LOCK_SUFFIX}").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def all_names(root: Path | None = None) -> list[str]:
    """Names of the clusters that have a state folder, sorted."""
    folder = state_root() if root is None else root
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name))


def _process(data: dict[str, Any] | None) -> ProcessId | None:
    return None if data is None else ProcessId(**data)
