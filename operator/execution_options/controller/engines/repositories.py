"""Artifact repositories for the storage prefixes of options: one ConfigMap in each namespace that has repositories."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from execution_options.api.meta import ObjectMeta
from execution_options.controller.runtime import Queue, work
from execution_options.engines.artifacts import RENDERED, REPOSITORIES, entries, render
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.controller.cache import OptionsIndex
    from execution_options.controller.runtime import Metrics, Writer
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

_CONFIG_MAPS: Final = path_of("", "v1", "configmaps")
SOON: Final = 1.0
"""Seconds until a write is repeated after a conflict."""


class ConfigMap(Struct, frozen=True):
    """A ConfigMap."""

    metadata: ObjectMeta
    data: dict[str, str] | None = None


class ArtifactRepositories:
    """Renders the repositories of namespaces.

    Entries are never removed: a workflow that was just admitted may need one, and there are only as many as buckets.

    Args:
        writer: writes the ConfigMaps.
        changed: called with a namespace when :meth:`problem` of it has changed.
    """

    def __init__(self, kube: Kube, index: OptionsIndex, writer: Writer, changed: Callable[[str], None]) -> None:
        self._index = index
        self._writer = writer
        self._problem_changed = changed
        self._problems: dict[str, str] = {}
        self._queue: Queue[str] = Queue()
        self._given, self._rendered = (
            Store(kube, _CONFIG_MAPS, ConfigMap, field_selector=f"metadata.name={name}", on_change=self._changed)
            for name in (REPOSITORIES, RENDERED)
        )

    @property
    def synced(self) -> bool:
        """Whether both collections were listed once."""
        return self._given.synced.is_set() and self._rendered.synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until both collections were listed once."""
        await asyncio.gather(self._given.synced.wait(), self._rendered.synced.wait())

    async def follow(self) -> None:
        """Follow both collections until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._given.run())
            group.create_task(self._rendered.run())

    def options_changed(self, namespace: str) -> None:
        """Options of a namespace, or of the cluster if it is empty, were created, changed or deleted."""
        for where, _ in self._given.items:
            if namespace in ("", where):
                self._queue.add(where)

    def problem(self, namespace: str | None) -> str:
        """Why a namespace's own repository cannot be used, for people; empty if it can, or if there is none."""
        return self._problems.get(namespace or "", "")

    def pending(self) -> int:
        """How many namespaces are due."""
        return len(self._queue)

    async def work(self, metrics: Metrics) -> None:
        """Render what is due until cancelled."""
        self.options_changed("")
        await work("artifacts", self._queue, self.reconcile, metrics)

    async def reconcile(self, namespace: str) -> float | None:
        """Render the repositories of one namespace."""
        given, rendered = self._given.get(namespace, REPOSITORIES), self._rendered.get(namespace, RENDERED)
        if given is None:
            self._note(namespace, "")
            return None
        prefixes = (options.output_location_prefix for options, _ in self._index.candidates(namespace))
        there = {} if rendered is None else rendered.data or {}
        new = entries(prefix for prefix in prefixes if prefix) - there.keys()
        repositories = {"metadata": {"annotations": given.metadata.annotations}, "data": given.data}
        data, problem = render(repositories, [*sorted(there), *sorted(new)])
        self._note(namespace, problem)
        if data == there:
            return None
        try:
            if rendered is None:
                await self._writer.create(path_of("", "v1", "configmaps", namespace), _document(given, data))
            else:
                path = path_of("", "v1", "configmaps", namespace, RENDERED)
                await self._writer.merge(path, {"metadata": {"uid": rendered.metadata.uid}, "data": data})
        except ApiError as error:
            if error.status in (404, 409):
                return SOON
            raise
        logger.info("artifact repositories of namespace %s: %s", namespace, ", ".join(data))
        return None

    def _note(self, namespace: str, problem: str) -> None:
        if problem == self.problem(namespace):
            return
        if problem:
            self._problems[namespace] = problem
            logger.warning("artifact repositories of namespace %s: %s", namespace, problem)
        else:
            del self._problems[namespace]
        self._problem_changed(namespace)

    def _changed(self, old: ConfigMap | None, new: ConfigMap | None) -> None:
        item = new or old
        if item is not None:
            self._queue.add(item.metadata.namespace)


def _document(given: ConfigMap, data: dict[str, str]) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": given.metadata.name, "uid": given.metadata.uid}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": RENDERED,
            "labels": {"app.kubernetes.io/managed-by": "execution-options"},
            "ownerReferences": [owner],
        },
        "data": data,
    }
