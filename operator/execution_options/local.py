"""The operator's processes on this machine, for a cluster whose API server runs here too.

Used to try it out, to develop, and by the end-to-end tests: the same processes, rights and webhook entries
as in a cluster, reached through a service that points at loopback.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import yaml

from execution_options import install
from execution_options.api import decoding
from execution_options.install import local
from execution_options.kube.access import NoClusterError
from execution_options.kube.client import REQUEST_ERRORS, Kube, path_of
from execution_options.logs import error_text
from execution_options.processes import guarded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
INSTEAD: Final = "use the embedded control plane ('execution-options cluster up'), or install the operator by Helm"
READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
TOKEN_SECONDS: Final = 24 * 3600
UNREACHABLE: Final = (NoClusterError, *REQUEST_ERRORS)
"""Errors of a cluster that refuses a request, does not answer or does not exist."""


_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Reaches loopback without a proxy, whatever the environment sets."""


class OperatorFailedError(Exception):
    """The operator could not be started, or one of its processes ended; the message has the end of its log."""


class LocalOperator:
    """The webhook and the controller as processes of this machine; use as a context manager.

    Args:
        kubeconfig: of a user who may install; the processes get service accounts of their own.
        context: of the kubeconfig.
        webhook: arguments for the webhook besides those it needs.
        controller: arguments for the controller besides those it needs.
        processes: those to run.
    """

    def __init__(
        self,
        kubeconfig: Path | None,
        context: str | None = None,
        *,
        webhook: tuple[str, ...] = (),
        controller: tuple[str, ...] = (),
        processes: tuple[str, ...] = ("webhook", "controller"),
    ) -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._folder = tempfile.TemporaryDirectory(prefix="execution-options-")
        self.logs = Path(self._folder.name)
        """Folder of ``webhook.log`` and ``controller.log``; it goes with this object."""
        self.webhook_port, self._webhook_health, self._controller_health = _free_ports(3)
        commands = {
            # Its entries are removed before it stops, so no request comes that it would have to wait for.
            "webhook": ["--host", "127.0.0.1", "--port", str(self.webhook_port), "--linger-seconds", "0", *webhook],
            "controller": list(controller),
        }
        self._commands = {name: commands[name] for name in processes}
        self._health = {"webhook": self._webhook_health, "controller": self._controller_health}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._installed = False
        self.left = ""
        """Why something could not be removed; empty if all was."""

    def __enter__(self) -> Self:
        try:
            asyncio.run(self._install())
            for name in self._commands:
                self.start(name)
            for name in self._commands:
                self.wait_ready(name)
            if "webhook" in self._commands:
                asyncio.run(self._prove())
        except UNREACHABLE as error:
            self.stop()
            raise OperatorFailedError(f"the operator cannot be installed: {error}") from error
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _install(self) -> None:
        async with await Kube.connect(self._kubeconfig, self._context) as kube:
            host = urlsplit(kube.server).hostname
            if host not in LOOPBACK:
                raise OperatorFailedError(
                    f"the API server {kube.server} is not on this machine, so it could not reach the webhook here: "
                    f"{INSTEAD}"
                )
            if (why := await local.occupied(kube)) is not None:
                raise OperatorFailedError(why)
            await local.withdraw_entries(kube)  # of one that was killed
            self._installed = True
            await local.prepare(kube)
            await install.established(kube)
            for name, account in (("webhook", install.WEBHOOK), ("controller", install.CONTROLLER)):
                await self._write_kubeconfig(kube, name, account)
            await local.call(kube, self.webhook_port)

    async def _prove(self) -> None:
        async with await Kube.connect(self._kubeconfig, self._context) as kube:
            try:
                await local.proved(kube)
            except local.UnreachedError as error:
                raise OperatorFailedError(
                    f"the API server {kube.server} does not reach the webhook on this machine ({error}). That of kind, "
                    f"k3d or minikube has another loopback than this machine: {INSTEAD}"
                ) from error

    async def _write_kubeconfig(self, kube: Kube, name: str, account: str) -> None:
        path = path_of("", "v1", "serviceaccounts", install.SYSTEM_NAMESPACE, account, "token")
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        token = decoding.read_object(await kube.create(path, request))["status"]["token"]
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "operator",
            "contexts": [{"name": "operator", "context": {"cluster": "cluster", "user": "operator"}}],
            "clusters": [{"name": "cluster", "cluster": kube.cluster_config()}],
            "users": [{"name": "operator", "user": {"token": token}}],
        }
        target = self.logs / f"{name}.kubeconfig"
        target.touch(mode=0o600)
        target.write_text(yaml.safe_dump(document))

    def command(self, name: str) -> list[str]:
        """The command line of ``webhook`` or ``controller``."""
        access = ["--kubeconfig", str(self.logs / f"{name}.kubeconfig")]
        return [sys.executable, "-m", "execution_options", name, *access, *self.arguments(name)]

    def arguments(self, name: str) -> list[str]:
        """The arguments of a process without those that name the cluster."""
        return ["--health-port", str(self._health[name]), *self._commands[name]]

    def start(self, name: str) -> None:
        """Start ``webhook`` or ``controller``; its log is appended to."""
        command = self.command(name)
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                guarded(command), stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=0
            )

    def wait_ready(self, name: str) -> None:
        """Wait until the readiness probe of the process succeeds.

        Raises:
            OperatorFailedError: it ended, or is not ready in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        answer = "no answer"
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                raise OperatorFailedError(f"the {name} ended by itself:\n{self._tail(name)}")
            try:
                with _DIRECT.open(self.url(name, "/readyz"), timeout=5):
                    return
            except urllib.error.HTTPError as error:
                with error:
                    answer = error.read().decode(errors="replace")
            except OSError:
                pass
            time.sleep(0.05)
        raise OperatorFailedError(
            f"the {name} is not ready after {READY_SECONDS:.0f} s ({answer}):\n{self._tail(name)}"
        )

    def url(self, name: str, path: str) -> str:
        """URL of a process' probes and metrics."""
        return f"http://127.0.0.1:{self._health[name]}{path}"

    def log(self, name: str) -> str:
        """What a process has logged so far."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process and wait until it has ended."""
        process = self.processes[name]
        process.send_signal(number)
        process.wait(STOP_SECONDS)

    def wait(self) -> None:
        """Wait while all processes run.

        Raises:
            OperatorFailedError: a process ended.
        """
        while True:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise OperatorFailedError(f"the {name} ended by itself:\n{self._tail(name)}")
            time.sleep(0.5)

    def stop(self) -> None:
        """Remove the webhook entries, so that no request waits for the processes; then these and their rights."""
        if self._installed:
            self._withdraw(local.withdraw_entries)
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        if self._installed:
            self._withdraw(local.withdraw_rights)
        self._folder.cleanup()

    def _withdraw(self, what: Callable[[Kube], Awaitable[None]]) -> None:
        async def withdraw() -> None:
            async with await Kube.connect(self._kubeconfig, self._context) as kube:
                await what(kube)

        try:
            asyncio.run(withdraw())
        except UNREACHABLE as error:  # perhaps the cluster went first
            self.left = self.left or error_text(error)

    def _tail(self, name: str) -> str:
        return "\n".join(self.log(name).splitlines()[-20:])


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
