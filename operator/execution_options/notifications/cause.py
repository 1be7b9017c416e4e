"""Why an execution failed, as far as its pods show it."""

from __future__ import annotations

from msgspec import Struct

from execution_options.engines.failures import Logs


class Cause(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The first pod of an execution that failed, and how many did.

    Attributes:
        pod: name of the pod.
        container: name of the container; empty if the whole pod failed, as one that was evicted.
        reason: one word: OOMKilled, Error, Evicted, ImagePullBackOff, …; empty if Kubernetes says none.
        exit_code: of the container's program; ``None`` if it never ran.
        message: the container's termination message, or what Kubernetes says.
        failed: pods that failed.
        pods: pods that the execution had.
        logs: whether the container still has logs, and of which of its runs.
    """

    pod: str
    container: str = ""
    reason: str = ""
    exit_code: int | None = None
    message: str = ""
    failed: int = 0
    pods: int = 0
    logs: Logs = ""

    @property
    def short(self) -> str:
        """The cause in one or two words, for a subject: ``OOMKilled``, ``exit code 1``."""
        if self.reason in ("", "Error") and self.exit_code is not None:
            return f"exit code {self.exit_code}"
        return self.reason

    @property
    def place(self) -> str:
        """The cause without the name of its pod: ``OOMKilled in container train``."""
        return f"{self.short or 'failure'}{f' in container {self.container}' if self.container else ''}"

    @property
    def text(self) -> str:
        """The cause in one line: ``OOMKilled in container train of pod train-0 (exit code 137)``."""
        where = f"container {self.container} of pod {self.pod}" if self.container else f"pod {self.pod}"
        code = "" if self.exit_code is None or self.short.startswith("exit code") else f" (exit code {self.exit_code})"
        return f"{self.short or 'failure'} in {where}{code}"

    @property
    def share(self) -> str:
        """How many pods failed, if there was more than one; otherwise empty."""
        return f"{self.failed} of {self.pods}" if self.failed and self.pods > 1 else ""

    def command(self, namespace: str) -> str:
        """The command that shows the container's log; empty if it has none, or its pod is gone.

        Args:
            namespace: namespace of the execution.
        """
        if not self.logs:
            return ""
        container = f" -c {self.container}" if self.container else ""
        return f"kubectl logs -n {namespace} {self.pod}{container}{' --previous' if self.logs == 'previous' else ''}"
