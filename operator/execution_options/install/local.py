"""An operator whose processes run outside the cluster: what it puts there, what it takes away again, what proves it.

What stays when it ends is what an installation has too, and what users' objects need: kinds, people's roles, the
namespace, and the service accounts, which own the controllers' Lease.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from execution_options.api import decoding
from execution_options.api.names import GROUP, OPTIONS_ANNOTATION
from execution_options.install import (
    SYSTEM_NAMESPACE,
    WEBHOOK,
    WEBHOOK_CONFIGURATION,
    apply,
    definitions,
    engines_configuration,
    path_to,
    rbac,
    roles,
    validating_configuration,
    webhook_configuration,
)
from execution_options.install.policies import policies
from execution_options.kube.client import APPLY_PATCH, ApiError, path_of
from execution_options.processes import ProcessId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.install import Manifest
    from execution_options.kube.client import Kube

LOCAL_PROCESS: Final = f"{GROUP}/local-process"
"""On the Service of an operator outside the cluster: the process that answers, as :class:`ProcessId`."""
RELEASE: Final = "execution-options"
"""The Helm release of the documentation."""
_ADOPTER: Final = "execution-options-adoption"
_REFERENCED: Final = "referenced.executions.execution.dev"
_SERVICE: Final = path_of("", "v1", "services", SYSTEM_NAMESPACE, WEBHOOK)
_ENTRIES: Final = path_of(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "", WEBHOOK_CONFIGURATION
)
PROOF_SECONDS: Final = 10.0
"""How long the API server may take until it reaches the webhook."""
ANSWER_SECONDS: Final = 15.0
"""Time-out of one request: longer than the entry's own."""


class UnreachedError(Exception):
    """The API server does not call the webhook; the message has its reason."""


def local_webhook(port: int) -> list[Manifest]:
    """Webhook configurations and a Service for a webhook on the API server's own host, listening on ``port``."""
    service: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": WEBHOOK, "namespace": SYSTEM_NAMESPACE, "annotations": {LOCAL_PROCESS: _this_process()}},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    configuration, validating = webhook_configuration(), validating_configuration()
    for entry in (*configuration["webhooks"], *validating["webhooks"]):
        # Entries share one clientConfig by a YAML alias: replaced, not changed in place.
        entry["clientConfig"] = {"service": entry["clientConfig"]["service"] | {"port": port}}
    return [service, configuration, engines_configuration(), validating]


def _this_process() -> str:
    process = ProcessId.of(os.getpid())
    assert process is not None  # noqa: S101 - it runs
    return f"{process.pid} {process.started}"


async def occupied(kube: Kube) -> str | None:
    """Why no operator may run here: another one does. ``None`` if there is none, or only the traces of one that died.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it.
    """
    service = await _found(kube, _SERVICE)
    if service is None:
        installed = await _found(kube, _ENTRIES) is not None
    else:
        installed = service["spec"].get("type") != "ExternalName"
    if installed:
        return "the operator is installed in this cluster already"
    pid, _, started = (
        ((service or {}).get("metadata", {}).get("annotations") or {}).get(LOCAL_PROCESS, "").partition(" ")
    )
    if pid.isdecimal() and int(pid) != os.getpid() and ProcessId(int(pid), started).alive():
        return f"the operator runs on this machine already, as process {pid}"
    return None


async def prepare(kube: Kube) -> None:
    """Install kinds, policies, accounts and rights; the policies bound the rights and come before them.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses something.
    """
    manifests = [*definitions(), *policies(), *rbac(), *roles()]
    await apply(kube, manifests)
    # Helm takes over what has these (https://github.com/helm/helm/pull/7649), whatever is left of it by then.
    await asyncio.gather(*(_offer(kube, one) for one in manifests if one["kind"] != "Namespace"))


async def call(kube: Kube, port: int) -> None:
    """Have the API server call the webhook at a port of this machine.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses something.
    """
    manifests = local_webhook(port)
    await apply(kube, manifests)
    await asyncio.gather(*(_offer(kube, one) for one in manifests))


async def _offer(kube: Kube, manifest: Manifest) -> None:
    """Let the documented release take an object over, unless another release has it already."""
    metadata = {
        "name": manifest["metadata"]["name"],
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": RELEASE,
            "meta.helm.sh/release-namespace": SYSTEM_NAMESPACE,
        },
    }
    body = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": metadata}
    try:
        await kube.patch(path_to(manifest), msgspec.json.encode(body), APPLY_PATCH, params={"fieldManager": _ADOPTER})
    except ApiError as error:
        if error.status != 409:
            raise


async def proved(kube: Kube) -> None:
    """Wait until the API server calls the webhook: it refuses a dry run of a Job with the webhook's message.

    Only our webhook can give that answer: the Job refers to options with a random name, and the API server checks the
    webhook's certificate.

    Raises:
        UnreachedError: it does not within ``PROOF_SECONDS``.
    """
    until = time.monotonic() + PROOF_SECONDS
    while (answer := await not_asked(kube, "default")) is not None:
        if time.monotonic() > until:
            raise UnreachedError(answer)
        await asyncio.sleep(0.1)


async def not_asked(kube: Kube, namespace: str) -> str | None:
    """Why the API server did not ask the webhook about a dry run of a Job; ``None`` if it did.

    Args:
        kube: the connection.
        namespace: of the Job.
    """
    wanted = f"none-{secrets.token_hex(8)}"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "execution-options-", "annotations": {OPTIONS_ANNOTATION: wanted}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}},
    }
    path = path_of("batch", "v1", "jobs", namespace)
    try:
        await kube.create(path, job, params={"dryRun": "All"}, seconds=ANSWER_SECONDS)
    except ApiError as error:
        asked = f'admission webhook "{_REFERENCED}" denied the request' in error.message and wanted in error.message
        return None if asked else error.message
    return "it admits executions without asking the webhook"


async def withdraw_entries(kube: Kube) -> None:
    """Remove the webhook entries, so that no request waits for the processes.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses something.
    """
    await _delete(kube, [webhook_configuration(), engines_configuration(), validating_configuration()])


async def withdraw_rights(kube: Kube) -> None:
    """Remove the rights of the processes once these have ended, then the policies that bounded the rights.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses something.
    """
    kept = ("Namespace", "ServiceAccount")
    await _delete(kube, [*(one for one in rbac() if one["kind"] not in kept), *policies(), local_webhook(0)[0]])


async def _delete(kube: Kube, manifests: Iterable[Manifest]) -> None:
    async def delete(manifest: Manifest) -> None:
        try:
            await kube.delete(path_to(manifest))
        except ApiError as error:
            if error.status != 404:
                raise

    await asyncio.gather(*map(delete, manifests))


async def _found(kube: Kube, path: str) -> dict[str, Any] | None:
    try:
        return decoding.read_object(await kube.get(path))
    except ApiError as error:
        if error.status == 404:
            return None
        raise
