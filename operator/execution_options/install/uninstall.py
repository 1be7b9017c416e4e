"""Takes the operator's hands off a cluster: nothing waits for a webhook, a release or a finalizer afterwards."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from execution_options.api import decoding
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import GROUP
from execution_options.install import CONTROLLER, ENGINES_CONFIGURATION, WEBHOOK_CONFIGURATION
from execution_options.install.release import all_held, collections, engines_configuration, release_all
from execution_options.kube.client import MERGE_PATCH, METADATA, ApiError, path_of
from execution_options.kube.encoding import JSON_PATCH
from execution_options.kube.listing import listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

HOLDER: Final = "uninstall"
LEASE_SECONDS: Final = 300
"""How long controllers stand by afterwards, should they not be taken away after all."""
GATE_PREFIX: Final = f"{GROUP}/"
_ADMISSION: Final = ("admissionregistration.k8s.io", "v1")
_INSTALLED: Final = (
    path_of(*_ADMISSION, "mutatingwebhookconfigurations", "", WEBHOOK_CONFIGURATION),
    path_of(*_ADMISSION, "validatingwebhookconfigurations", "", WEBHOOK_CONFIGURATION),
)
_OF_ENGINES: Final = path_of(*_ADMISSION, "mutatingwebhookconfigurations", "", ENGINES_CONFIGURATION)


class Removed(Struct, frozen=True):
    """What was done."""

    executions: int
    """Executions that were held by a finalizer."""
    pods: int
    """Pods that waited for their release; they start, whatever limits their parallelism had."""


class Plan(Struct, frozen=True):
    """What :func:`uninstall` would do."""

    configurations: list[str]
    """Webhook configurations that would be removed."""
    controller: bool
    """Whether a controller would be stopped."""
    executions: list[str]
    """Executions that are held."""
    pods: list[str]
    """Pods that wait for their release."""

    @property
    def lines(self) -> list[str]:
        """All of it."""
        return [*self.configurations, *(["the controller"] if self.controller else []), *self.executions, *self.pods]


class _Gate(Struct):
    name: str


class _PodSpec(Struct, rename="camel"):
    scheduling_gates: list[_Gate] | None = None


class _Pod(Struct):
    metadata: ObjectMeta
    spec: _PodSpec


class _LeaseSpec(Struct, rename="camel"):
    lease_duration_seconds: int | None = None


class _Lease(Struct):
    spec: _LeaseSpec


async def uninstall(kube: Kube, namespace: str) -> Removed:
    """Remove webhook entries, stop the controller from writing, then let go of all that is held.

    In this order nothing is held anew. Definitions, options and what they gave stay as they are.

    Args:
        kube: the connection.
        namespace: of the operator.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses something.
    """
    for path in _INSTALLED:
        await _delete(kube, path)
    # Without the others, no controller writes these again. The kinds noted there are needed until all is released.
    if await engines_configuration(kube) is not None:
        await kube.patch(_OF_ENGINES, {"webhooks": None}, MERGE_PATCH)
    await _take_lease(kube, namespace)
    removed = Removed(await release_all(kube, await collections(kube)), await release_pods(kube))
    await _delete(kube, _OF_ENGINES)
    return removed


async def plan(kube: Kube, namespace: str) -> Plan:
    """What :func:`uninstall` would do; nothing is changed.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses something.
    """
    configurations = [path for path in (*_INSTALLED, _OF_ENGINES) if await _is_there(kube, path)]
    return Plan(
        ["/".join(path.rsplit("/", 2)[1:]) for path in configurations],
        await _is_there(kube, _lease(namespace)),
        await all_held(kube, await collections(kube)),
        [f"pods/{pod.name} of namespace {pod.namespace}" async for pod in gated_pods(kube)],
    )


async def _is_there(kube: Kube, path: str) -> bool:
    try:
        await kube.get(path, accept=METADATA)
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True


async def _delete(kube: Kube, path: str) -> None:
    try:
        await kube.delete(path)
    except ApiError as error:
        if error.status != 404:
            raise


def _lease(namespace: str) -> str:
    return path_of("coordination.k8s.io", "v1", "leases", namespace, CONTROLLER)


async def _take_lease(kube: Kube, namespace: str) -> None:
    """Take the Lease from its holder, and wait for its duration, after which the holder no longer writes."""
    path = _lease(namespace)
    try:
        lease = decoding.read(await kube.get(path), _Lease)
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {"holderIdentity": HOLDER, "leaseDurationSeconds": LEASE_SECONDS, "acquireTime": now, "renewTime": now}
        await kube.patch(path, {"spec": spec}, MERGE_PATCH)
    except ApiError as error:
        if error.status == 404:
            return  # no controller ever ran
        raise
    wait = lease.spec.lease_duration_seconds or 0
    logger.info("waiting %d s until no controller writes any more", wait)
    await asyncio.sleep(wait)


async def release_pods(kube: Kube, namespace: str = "") -> int:
    """Release all pods that wait behind gates of the operator, whatever their limits, and count them.

    Args:
        kube: the connection.
        namespace: only pods of this one; all namespaces if empty.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses something.
    """
    released = 0
    async for pod, gates in _gated(kube, namespace):
        released += await _release(kube, pod, gates)
    return released


async def gated_pods(kube: Kube, namespace: str = "") -> AsyncIterator[ObjectMeta]:
    """The pods that :func:`release_pods` would release.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it.
    """
    async for pod, _ in _gated(kube, namespace):
        yield pod


async def _gated(kube: Kube, namespace: str) -> AsyncIterator[tuple[ObjectMeta, list[str]]]:
    path = path_of("", "v1", "pods", namespace)
    async for pod in listed(kube, path, _Pod, params={"fieldSelector": "status.phase=Pending"}):
        gates = [gate.name for gate in pod.spec.scheduling_gates or ()]
        if any(gate.startswith(GATE_PREFIX) for gate in gates):
            yield pod.metadata, gates


async def _release(kube: Kube, metadata: ObjectMeta, gates: list[str]) -> bool:
    """Remove the operator's gates from a pod; False if it no longer exists."""
    change: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": metadata.uid}]
    # From the last to the first, because removing a gate shifts those after it.
    for index, gate in reversed(list(enumerate(gates))):
        if gate.startswith(GATE_PREFIX):
            at = f"/spec/schedulingGates/{index}"
            change += [{"op": "test", "path": f"{at}/name", "value": gate}, {"op": "remove", "path": at}]
    path = path_of("", "v1", "pods", metadata.namespace, metadata.name)
    try:
        await kube.patch(path, change, JSON_PATCH, accept=METADATA)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True
