"""Writes for the webhook which executions have waiting pods that a ResourceQuota counts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from execution_options.api import decoding
from execution_options.api.keys import ExecutionKey
from execution_options.api.names import BACKLOG, ID_LABEL, RENEWED_ANNOTATION
from execution_options.kube.account import own_account
from execution_options.kube.client import REQUEST_ERRORS, path_of
from execution_options.kube.listing import get_if_exists
from execution_options.logs import error_text
from execution_options.parallelism.backlog import RENEW_SECONDS, Named
from execution_options.parallelism.gate import refuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import GroupKey
    from execution_options.controller.cache import World
    from execution_options.controller.runtime import Writer
    from execution_options.kube.client import Kube
    from execution_options.kube.quotas import Quotas
    from execution_options.parallelism.board import Board
    from execution_options.parallelism.groups import Group

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Seconds between two writes, however much changes, because each may write all of a namespace; also the interval at
which new quotas are noticed if nothing else changes."""


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] = {}


class Backlog:
    """Writes one ConfigMap: for each namespace with a quota, the identifiers of executions with waiting pods.

    It has only executions whose engine retries when a pod is refused.

    Args:
        quotas: knows which namespaces have quotas.
        namespace: namespace of the operator.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        kube: Kube,
        writer: Writer,
        world: World,
        quotas: Quotas,
        namespace: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._writer = writer
        self._world = world
        self._quotas = quotas
        self._namespace = namespace
        self._clock = clock
        self._path = path_of("", "v1", "configmaps", namespace, BACKLOG)
        self._written: dict[str, str] | None = None
        """The data of the ConfigMap; ``None`` if it has to be read, or does not exist."""
        self._renewed = -math.inf
        self._changed = asyncio.Event()
        self._named = Named(self._identifier)

    def changed(self, key: GroupKey) -> None:
        """A group has changed: visit it in the next round if a quota counts its pods."""
        if key.namespace in self._quotas.namespaces():
            self._named.touch(key)
            self._changed.set()

    async def run(self, board: Board) -> None:
        """Write changes, at most once a second, until cancelled.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.write(self._named.texts(board.groups, self._quotas.namespaces()))
            except REQUEST_ERRORS as error:
                self._written = None
                logger.info("ConfigMap %s: %s", BACKLOG, error_text(error))
            await asyncio.sleep(PAUSE_SECONDS)

    def _identifier(self, group: Group) -> str:
        """The identifier of an execution whose next pod would wait and may be refused; empty for any other."""
        engine = self._world.engines.get(group.key.engine)
        if engine is None or not refuses(engine) or not (group.slots.is_full and group.slots.waiting):
            return ""
        execution = self._world.execution(ExecutionKey(*group.key))
        return "" if execution is None else (execution.metadata.labels or {}).get(ID_LABEL, "")

    async def write(self, waiting: dict[str, str]) -> None:
        """Write what has changed, and renew the time of the ConfigMap while it names anything."""
        if self._written is None:
            self._written = await self._read()
        due = bool(waiting) and self._clock() - self._renewed >= RENEW_SECONDS
        if (self._written or {}) == waiting and not due:
            return
        now = self._clock()
        renewed = {RENEWED_ANNOTATION: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        if self._written is None:
            owner = await own_account(self._kube, self._namespace)
            metadata = {
                "name": BACKLOG,
                "labels": {"app.kubernetes.io/managed-by": "execution-options"},
                "annotations": renewed,
                "ownerReferences": [] if owner is None else [owner],
            }
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": waiting}
            await self._writer.create(path_of("", "v1", "configmaps", self._namespace), document)
        else:
            gone = dict.fromkeys(self._written.keys() - waiting.keys())
            changed = {key: value for key, value in waiting.items() if self._written.get(key) != value}
            await self._writer.merge(self._path, {"metadata": {"annotations": renewed}, "data": gone | changed})
        self._written, self._renewed = waiting, now

    async def _read(self) -> dict[str, str] | None:
        answer = await get_if_exists(self._kube, self._path)
        return None if answer is None else decoding.read(answer, _ConfigMap).data
