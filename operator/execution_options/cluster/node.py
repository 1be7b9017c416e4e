"""The one node of a control plane, which no machine stands behind: kwok answers for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client

NAME = "sim-node-0"

# Larger than any scenario: what holds a pod back is then never the node.
_CAPACITY = {
    "cpu": "10000",
    "memory": "100Ti",
    "ephemeral-storage": "100Ti",
    "pods": "100000",
    "nvidia.com/gpu": "10000",
}


def manifest() -> dict[str, Any]:
    """The Node object."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NAME,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": NAME,
                "kubernetes.io/os": "linux",
                "node-role.kubernetes.io/worker": "",
            },
        },
        "status": {"allocatable": _CAPACITY, "capacity": _CAPACITY},
    }


def ensure_ready(client: Client, apiserver: int, timeout: float, pause: Callable[[], None]) -> None:
    """Create the node and wait until pods can run: the node schedulable, the default service account there.

    Args:
        client: Asks the API server.
        apiserver: Its loopback port.
        timeout: Seconds to wait in all.
        pause: Called between two attempts; may raise to give up.

    Raises:
        ClusterError: It was not ready in time, or the node was refused.
    """
    deadline = time.monotonic() + timeout
    waits = (_created, _schedulable, _has_service_account)
    for ready in waits:
        while not ready(client, apiserver):
            if time.monotonic() >= deadline:
                raise ClusterError(f"the node {NAME} was not ready for pods within {timeout:g} s")
            pause()


def _created(client: Client, apiserver: int) -> bool:
    try:
        status, answer = client.api(apiserver, "POST", "/api/v1/nodes", manifest())
    except OSError:
        return False
    if status in {400, 422}:
        raise ClusterError(f"the node {NAME} was refused: {answer.get('message')}")
    return status in {201, 409}


def _schedulable(client: Client, apiserver: int) -> bool:
    try:
        status, node = client.api(apiserver, "GET", f"/api/v1/nodes/{NAME}")
    except OSError:
        return False
    return status == 200 and not node["spec"].get("taints") and _is_ready(node)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _has_service_account(client: Client, apiserver: int) -> bool:
    try:
        status, _ = client.api(apiserver, "GET", "/api/v1/namespaces/default/serviceaccounts/default")
    except OSError:
        return False
    return status == 200
