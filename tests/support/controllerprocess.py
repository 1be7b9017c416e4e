"""An engine's controller as a process of this machine: built, set up, started, and stopped again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import yaml

from execution_options.cluster import ClusterError
from execution_options.cluster.build import GoProgram, ensure_built, go_environment
from execution_options.cluster.paths import cache_root
from execution_options.cluster.progress import Progress
from execution_options.processes import guarded
from support.crds import wait_established
from support.waiting import eventually

if TYPE_CHECKING:
    from types import TracebackType

    from execution_options.cluster import ControlPlane

Manifest = dict[str, Any]

SOURCES = Path(__file__).parents[1] / "engines" / "controllers"

HOST = "127.0.0.1"
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")


class EngineController(ABC):
    """One engine's controller; use as a context manager.

    It acts as a service account of its own that may do everything, so that the API server sees who it is.

    Args:
        cluster: where it works.
        folder: an empty one, for its log and configuration.
    """

    name: ClassVar[str]
    """Of the folder with its go.mod, and of its program."""
    module: ClassVar[str]
    """The Go module that it is published in."""
    namespace: ClassVar[str]
    """Where it is at home."""
    account: ClassVar[str]
    """Its service account there, as its own installation names it."""
    crds: ClassVar[str]
    """Its CustomResourceDefinitions among the module's files, as a pattern."""
    writes: ClassVar[str] = "{.status}"
    """What it writes to an object, as a JSON path."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.log_file = folder / f"{self.name}.log"
        self.kubeconfig = folder / "kubeconfig"

    @classmethod
    def program(cls) -> GoProgram:
        """What is to be built."""
        return GoProgram(f"{cls.name}-controller", f"the {cls.name} controller", SOURCES / cls.name)

    @classmethod
    def build(cls, progress: Progress) -> Path:
        """The controller's binary, built if that has not been done."""
        return ensure_built(cache_root(), progress, cls.program())

    @abstractmethod
    def manifests(self, module: Path) -> list[Manifest]:
        """What it needs in the cluster besides its CRDs, namespace and service account."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """Its command line, without the program."""

    def environment(self) -> dict[str, str]:
        """Its process environment besides this process's."""
        return {}

    @abstractmethod
    def canary(self) -> Manifest:
        """An object that starts no pod, to which the process writes."""

    def __enter__(self) -> Self:
        binary = self.build(Progress())
        try:
            self._install(self._module_folder())
            self._start(binary)
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text(errors="replace")

    def _module_folder(self) -> Path:
        """The engine's module in Go's module cache, downloaded again if it has gone from there."""
        program = self.program()
        answer = subprocess.run(
            [program.go(cache_root(), Progress()), "mod", "download", "-json", self.module],
            cwd=program.sources,
            env=go_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return Path(json.loads(answer.stdout)["Dir"])

    def _install(self, module: Path) -> None:
        definitions = [definition for path in sorted(module.glob(self.crds)) for definition in self.definitions(path)]
        self._apply(definitions)
        wait_established(self._cluster, [definition["metadata"]["name"] for definition in definitions])
        account = {"kind": "ServiceAccount", "name": self.account, "namespace": self.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        setup: list[Manifest] = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account["name"], "namespace": self.namespace},
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": account["name"]},
                "roleRef": role,
                "subjects": [account],
            },
        ]
        self._apply([*setup, *self.manifests(module)])
        self._write_kubeconfig(account["name"])

    def definitions(self, path: Path) -> list[Manifest]:
        """The CustomResourceDefinitions of a published file."""
        return [document for document in documents(path) if document["kind"] == "CustomResourceDefinition"]

    def _apply(self, manifests: list[Manifest]) -> None:
        # JSON: these are megabytes, and YAML takes a hundred times as long.
        self._cluster.run_kubectl(_APPLY, input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def _write_kubeconfig(self, account: str) -> None:
        command = ["create", "token", account, f"--namespace={self.namespace}", "--duration=24h"]
        token = self._cluster.run_kubectl(command).stdout.strip()
        document = yaml.safe_load(self._cluster.kubeconfig.read_text())
        document["users"] = [{"name": user["name"], "user": {"token": token}} for user in document["users"]]
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def _start(self, binary: Path) -> None:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                guarded([str(binary), *self.arguments()]),
                cwd=self._folder,
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def _wait_ready(self) -> None:
        canary = self.canary()
        canary["metadata"] = {"name": "canary", "namespace": self.namespace}
        named = [f"--namespace={self.namespace}", canary["kind"], "canary"]

        def works() -> str:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the {self.name} controller ended by itself:\n{self.log()[-4000:]}")
            self._apply([canary])
            return self._cluster.run_kubectl(["get", "-o", f"jsonpath={self.writes}", *named]).stdout

        try:
            # Its webhooks, if it has any, refuse the canary until they answer.
            eventually(works, timeout=_READY_SECONDS, interval=0.2, retry_on=(ClusterError,))
        except AssertionError as error:
            raise RuntimeError(f"the {self.name} controller does not work:\n{self.log()[-4000:]}") from error
        self._cluster.run_kubectl(["delete", "--wait=false", *named])


def documents(path: Path) -> list[Manifest]:
    """The objects of a YAML file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was compiled
    return [document for document in yaml.load_all(path.read_bytes(), loader) if document]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
