"""A Kubernetes cluster to work with, wherever it comes from, and its clients kubectl and helm."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from .errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TIMEOUT_SECONDS = 120.0


class Cluster:
    """A reachable cluster.

    Attributes:
        kubeconfig: The kubeconfig file to use.
        context: The context in it.
        kubectl: The kubectl that fits the cluster, or None if there is none.
        helm: The helm to use, or None if there is none yet; see `find_helm`.
    """

    def __init__(self, kubeconfig: Path, context: str, *, kubectl: Path | None, helm: Path | None) -> None:
        """Describe a cluster that exists."""
        self.kubeconfig = kubeconfig
        self.context = context
        self.kubectl = kubectl
        self.helm = helm

    def environment(self) -> dict[str, str]:
        """The process environment in which every Kubernetes client uses this cluster's kubeconfig."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def kubectl_command(self, arguments: Sequence[str]) -> list[str]:
        """The command line of kubectl for this cluster.

        Raises:
            ClusterError: There is no kubectl.
        """
        if self.kubectl is None:
            raise ClusterError("there is no kubectl on PATH")
        return [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", f"--context={self.context}", *arguments]

    def find_helm(self) -> Path:
        """The helm to use.

        Raises:
            ClusterError: There is none.
        """
        if self.helm is None:
            raise ClusterError("there is no helm on PATH")
        return self.helm

    def helm_command(self, arguments: Sequence[str]) -> list[str]:
        """The command line of helm for this cluster.

        Raises:
            ClusterError: There is no helm.
        """
        return [str(self.find_helm()), f"--kubeconfig={self.kubeconfig}", f"--kube-context={self.context}", *arguments]

    def run_kubectl(
        self,
        arguments: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002 (as in subprocess.run)
        check: bool = True,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end.

        Args:
            arguments: After `kubectl`.
            input: Its standard input, such as a manifest for `apply -f -`.
            check: Whether a failure is raised rather than returned.
            timeout: Seconds after which it is killed.

        Raises:
            ClusterError: There is no kubectl, it took too long, or (with `check`) it failed.
        """
        return self._run(self.kubectl_command(arguments), input, timeout, check=check)

    def run_helm(
        self, arguments: Sequence[str], *, check: bool = True, timeout: float = _TIMEOUT_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run helm to its end; see `run_kubectl`.

        Raises:
            ClusterError: There is no helm, it took too long, or (with `check`) it failed.
        """
        return self._run(self.helm_command(arguments), None, timeout, check=check)

    def _run(
        self, command: list[str], text: str | None, timeout: float, *, check: bool
    ) -> subprocess.CompletedProcess[str]:
        program = os.path.basename(command[0])  # noqa: PTH119 (a name, not a file)
        # An empty input rather than ours: a client that asks for a password must fail, not wait.
        try:
            answer = subprocess.run(
                command,
                input=text or "",
                env=self.environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"{program} took longer than {timeout:g} s") from error
        if check and answer.returncode != 0:
            raise ClusterError(f"{program} failed: {answer.stderr.strip() or answer.stdout.strip()}")
        return answer
