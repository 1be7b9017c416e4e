"""What the webhook knows of the cluster: from memory, or read when a request needs it fresh."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from execution_options.api import decoding
from execution_options.api.meta import ObjectMeta, PartialObject
from execution_options.engines.artifacts import RENDERED, REPOSITORIES, Repositories
from execution_options.kube.channels import read_channels
from execution_options.kube.client import METADATA, Kube, path_of
from execution_options.kube.engines import EngineIndex, read_engines, specification_path
from execution_options.kube.listing import get_if_exists
from execution_options.kube.quotas import Quotas
from execution_options.kube.store import Store
from execution_options.parallelism.quota import refusal
from execution_options.webhook.backlog import Backlog
from execution_options.webhook.freshoptions import FreshOptions
from execution_options.webhook.shared import PAUSE_SECONDS, SharedCalls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.engines.registry import Engines
    from execution_options.engines.specification import Reference
    from execution_options.notifications.route import Channels
    from execution_options.webhook.review import GroupVersionKind

RENDERED_SECONDS: Final = 0.5
"""Longest wait for an artifact repository that the controller is about to render."""

RENDERING_SECONDS: Final = 0.05
"""Interval at which it is read meanwhile."""


class Index:
    """Options, engines, labels of namespaces and quotas from memory; accounts and other objects as they are read.

    Args:
        kube: the connection.
        namespace: of the operator.
    """

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._operator_namespace = namespace
        self.options = FreshOptions(kube)
        self._quotas = Quotas(kube)
        self._backlog = Backlog(kube, namespace)
        self._namespaces = Store(kube, path_of("", "v1", "namespaces"), PartialObject, metadata_only=True)
        self._accounts: SharedCalls[tuple[str, str], ObjectMeta | None] = SharedCalls(
            self._account, pause=PAUSE_SECONDS
        )
        self._plans: SharedCalls[str, dict[str, str]] = SharedCalls(self._annotations, pause=PAUSE_SECONDS)
        self._objects: SharedCalls[str, dict[str, Any] | None] = SharedCalls(self._object, pause=PAUSE_SECONDS)
        # Once a description was seen, a 404 for the whole kind comes from a proxy: each deletion is a watch event.
        self._engines = EngineIndex(kube, hidden=self._are_engines_described)
        self._fresh_engines: SharedCalls[None, Engines] = SharedCalls(
            lambda _: read_engines(kube, hidden=self._are_engines_described()), pause=PAUSE_SECONDS
        )

    @property
    def synced(self) -> bool:
        """Whether all collections that requests need were listed once."""
        return self._engines.synced and self._namespaces.synced.is_set() and self.options.synced

    async def run(self) -> None:
        """Follow all collections until cancelled."""
        async with asyncio.TaskGroup() as group:
            for one in (self.options, self._engines, self._namespaces, self._quotas, self._backlog):
                group.create_task(one.run())

    @property
    def engines(self) -> Engines:
        """The engines, from memory."""
        return self._engines.engines

    def _are_engines_described(self) -> bool:
        return bool(self._engines.names())

    async def engines_with(self, kind: GroupVersionKind) -> Engines:
        """The engines, including one of this kind that was described just before.

        A request for an unknown kind comes from an entry in the API server that is newer than memory.
        """
        if self.engines.serving(kind.group, kind.version, kind.kind) is not None:
            return self.engines
        return await self.fresh_engines()

    async def fresh_engines(self) -> Engines:
        """The engines, read consistently."""
        return await self._fresh_engines.call(None)

    def exceeded(self, namespace: str, identifier: str, pod: Mapping[str, Any]) -> str:
        """Why another pod of an execution must not wait: a quota that counts it is nearly used.

        It answers from memory, and only for executions that have waiting pods already according to the controller.

        Args:
            namespace: of the pod.
            identifier: of the execution; empty if the pod has none.
            pod: the pod.

        Returns:
            The reason; empty if the pod may wait.
        """
        if not identifier or not self._backlog.names(namespace, identifier):
            return ""
        used = self._quotas.nearly_used(namespace, pod)
        return "" if used is None else refusal(*used)

    async def namespace_labels(self, namespace: str) -> dict[str, str]:
        """Labels of a namespace."""
        return (await self.namespace(namespace)).labels or {}

    async def channels(self, namespace: str, labels: Mapping[str, str]) -> Channels:
        """The channels that executions of a namespace with these labels can use, read consistently."""
        return await read_channels(self._kube, namespace, labels, self._operator_namespace)

    async def namespace(self, namespace: str) -> ObjectMeta:
        """The metadata of a namespace; one that was created just before is fetched."""
        known = self._namespaces.get("", namespace)
        if known is None:
            path = path_of("", "v1", "namespaces", name=namespace)
            known = decoding.read(await self._kube.get(path, accept=METADATA), PartialObject)
        return known.metadata

    async def plan_annotations(self, plan: LaunchPlanKind, namespace: str, name: str) -> dict[str, str]:
        """Annotations of a launch plan, read consistently; empty if it does not exist."""
        return await self._plans.call(path_of(plan.group, plan.version, plan.plural, namespace, name))

    async def specification(self, wanted: Reference, namespace: str) -> dict[str, Any] | None:
        """The object that has the rest of an execution's specification, read consistently; ``None`` if there is none.

        Args:
            wanted: the reference to it.
            namespace: of the execution.
        """
        return await self._objects.call(specification_path(wanted, namespace))

    async def repositories(self, namespace: str, wanted: set[str]) -> Repositories:
        """The artifact repositories of a namespace.

        The call waits until the ``wanted`` entries are rendered, at most :data:`RENDERED_SECONDS`.

        Args:
            namespace: of the execution.
            wanted: entries that the controller renders.
        """
        rendered, default = (path_of("", "v1", "configmaps", namespace, name) for name in (RENDERED, REPOSITORIES))
        deadline = asyncio.get_running_loop().time() + RENDERED_SECONDS
        while True:
            found = await self._objects.call(rendered)
            known: dict[str, str] = (found or {}).get("data") or {}
            if wanted <= known.keys():
                return Repositories(has_default=True, entries=known)
            if await self._objects.call(default) is None:
                return Repositories()
            if asyncio.get_running_loop().time() >= deadline:
                return Repositories(has_default=True, entries=known)
            await asyncio.sleep(RENDERING_SECONDS)

    async def account(self, namespace: str, name: str) -> ObjectMeta | None:
        """A service account, read consistently; ``None`` if it does not exist."""
        return await self._accounts.call((namespace, name))

    async def _annotations(self, path: str) -> dict[str, str]:
        found = await self._metadata(path)
        return {} if found is None else found.annotations or {}

    async def _object(self, path: str) -> dict[str, Any] | None:
        answer = await get_if_exists(self._kube, path)
        return None if answer is None else decoding.read_object(answer)

    async def _account(self, account: tuple[str, str]) -> ObjectMeta | None:
        return await self._metadata(path_of("", "v1", "serviceaccounts", *account))

    async def _metadata(self, path: str) -> ObjectMeta | None:
        answer = await get_if_exists(self._kube, path, accept=METADATA)
        return None if answer is None else decoding.read(answer, PartialObject).metadata
