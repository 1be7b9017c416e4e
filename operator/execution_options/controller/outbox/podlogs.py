"""Reads the end of the log of a container that failed, where a channel asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.install import CONTROLLER
from execution_options.kube.client import REQUEST_ERRORS, ApiError, path_of
from execution_options.logs import error_text

if TYPE_CHECKING:
    from execution_options.kube.client import Kube
    from execution_options.notifications.cause import Cause

SECONDS: Final = 3.0
"""Longest time for a log; a node that does not answer must not delay a message for long."""
MAX_BYTES: Final = 65536
"""Most bytes of the requested lines that are read."""
MAX_LOG: Final = 4000
"""Characters of a log that a message can have; the last ones."""


class PodLogs:
    """Reads logs, for which the operator has a right only where somebody gave it.

    Args:
        operator_namespace: namespace of this process's service account.
    """

    def __init__(self, kube: Kube, operator_namespace: str) -> None:
        self._kube = kube
        self._operator_namespace = operator_namespace

    async def last(self, cause: Cause, namespace: str, lines: int) -> tuple[str, str]:
        """The last lines of the log of the container that failed first, and why there are none.

        Args:
            cause: names the container.
            namespace: namespace of the pod.
            lines: most lines.
        """
        params = {"tailLines": str(lines), "limitBytes": str(MAX_BYTES)}
        params |= {"container": cause.container} if cause.container else {}
        params |= {"previous": "true"} if cause.logs == "previous" else {}
        path = path_of("", "v1", "pods", namespace, cause.pod, "log")
        try:
            text = await self._kube.get(path, params=params, answer="text/plain", seconds=SECONDS)
        except ApiError as error:
            if error.status == 403:
                return "", self._forbidden(namespace)
            return "", f"the log of pod {cause.pod} cannot be read: {error.message or error.reason}"
        except REQUEST_ERRORS as error:
            return "", f"the log of pod {cause.pod} cannot be read: {error_text(error)}"
        return text.decode(errors="replace").strip("\n")[-MAX_LOG:], ""

    def _forbidden(self, namespace: str) -> str:
        role, account = "execution-options-logs", f"{self._operator_namespace}:{CONTROLLER}"
        return (
            f"the operator may not read logs in namespace {namespace}; to let it: kubectl create role {role} -n "
            f"{namespace} --verb=get --resource=pods/log && kubectl create rolebinding {role} -n {namespace} "
            f"--role={role} --serviceaccount={account}"
        )
