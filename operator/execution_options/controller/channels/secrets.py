"""Reads the Secrets and ConfigMaps that channels refer to, in their own namespaces."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from typing import TYPE_CHECKING, Any, Final

from execution_options.api import decoding
from execution_options.install import CONTROLLER
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.waiting import result_of
from execution_options.providers.material import Material, MaterialError, Reference, references

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.kube.client import Kube
    from execution_options.notifications.route import ChannelKey

FRESH: Final = 1.0
"""Seconds for which a read is reused, so that many messages at once share it; every later attempt reads again."""
MAX_KEPT: Final = 256
"""Reads that are kept before those no longer fresh are dropped."""

_PLURALS: Final = {"Secret": "secrets", "ConfigMap": "configmaps"}


class Materials:
    """Reads references, each by its name, because the operator has no right to list them.

    Args:
        operator_namespace: namespace of this process's service account.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, kube: Kube, operator_namespace: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._operator_namespace = operator_namespace
        self._clock = clock
        self._kept: dict[tuple[str, Reference], tuple[float, asyncio.Task[Mapping[str, bytes]]]] = {}

    async def of(self, key: ChannelKey, spec: NotificationChannelSpec) -> Material:
        """The contents of a channel's references.

        Raises:
            MaterialError: an object does not exist, may not be read, or is invalid.
            aiohttp.ClientError: there was no answer; or ``TimeoutError``.
            execution_options.kube.client.ApiError: any other refusal.
        """
        data: dict[Reference, Mapping[str, bytes]] = {}
        for reference in references(spec):
            try:
                data[reference] = await result_of(self._reading(key.namespace, reference))
            except ApiError as error:
                if error.is_not_found:
                    what = f"{reference.kind} {reference.name} does not exist in namespace {key.namespace}"
                    raise MaterialError("SecretMissing", what) from error
                if error.status == 403:
                    raise MaterialError("SecretForbidden", self._forbidden(key, reference, spec)) from error
                raise
        return Material(data)

    def _reading(self, namespace: str, reference: Reference) -> asyncio.Task[Mapping[str, bytes]]:
        now, place = self._clock(), (namespace, reference)
        since, task = self._kept.get(place, (float("-inf"), None))
        failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        if task is None or failed or now - since >= FRESH:
            if len(self._kept) >= MAX_KEPT:
                self._kept = {at: kept for at, kept in self._kept.items() if now - kept[0] < FRESH}
            task = asyncio.create_task(self._read(namespace, reference))
            self._kept[place] = (now, task)
        return task

    async def _read(self, namespace: str, reference: Reference) -> Mapping[str, bytes]:
        found = await self._kube.get(path_of("", "v1", _PLURALS[reference.kind], namespace, reference.name))
        document: dict[str, Any] = decoding.read_object(found)
        data = document.get("data") or {}
        if reference.kind == "ConfigMap":
            return {key: value.encode() for key, value in data.items()}
        try:
            return {key: base64.b64decode(value) for key, value in data.items()}
        except binascii.Error:  # the API server stores no such Secret
            raise MaterialError("SecretInvalid", f"Secret {reference.name} is not base64") from None

    def _forbidden(self, key: ChannelKey, reference: Reference, spec: NotificationChannelSpec) -> str:
        """Says how to let the operator read exactly what the channel refers to."""
        listed = references(spec)
        kinds = ",".join(sorted({_PLURALS[one.kind] for one in listed}))
        objects = " ".join(f"--resource-name={name}" for name in sorted({one.name for one in listed}))
        role = f"execution-options-{key.name}"
        account = f"{self._operator_namespace}:{CONTROLLER}"
        return (
            f"the operator may not read {reference.kind} {reference.name}; to let it: kubectl create role {role} "
            f"-n {key.namespace} --verb=get --resource={kinds} {objects} && kubectl create rolebinding {role} "
            f"-n {key.namespace} --role={role} --serviceaccount={account}"
        )
