"""Tells the webhook which executions have pods that wait, where a ResourceQuota counts these."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from execution_options.api.names import BACKLOG, ID_LABEL
from execution_options.controller.objects import ExecutionKey
from execution_options.controller.parallelism.groups import BARE
from execution_options.kube.account import own_account
from execution_options.kube.client import ApiError, path_of

if TYPE_CHECKING:
    from execution_options.controller.parallelism.board import Board
    from execution_options.controller.parallelism.objects import GroupKey
    from execution_options.controller.world import World
    from execution_options.controller.writer import Writer
    from execution_options.kube.client import Kube
    from execution_options.kube.quotas import Quotas

logger = logging.getLogger(__name__)

ROUND_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = 0.1
"""Between two looks, however much changes."""
MAX_NAMED: Final = 20_000
"""Identifiers of 16 characters that fit into a ConfigMap; who is not named is not refused either."""


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] = {}


class Backlog:
    """Writes one ConfigMap: for each namespace with a quota, the identifiers of executions with pods that wait.

    Bare pods are left out: who creates one need not try again when it is refused.

    Args:
        kube: for reading.
        writer: for writing, while the lease holds.
        world: executions.
        quotas: which namespaces have any.
        namespace: of the operator.
    """

    def __init__(self, kube: Kube, writer: Writer, world: World, quotas: Quotas, namespace: str) -> None:
        self._kube = kube
        self._writer = writer
        self._world = world
        self._quotas = quotas
        self._namespace = namespace
        self._path = path_of("", "v1", "configmaps", namespace, BACKLOG)
        self._written: dict[str, str] | None = None
        """``None``: not known."""
        self._changed = asyncio.Event()

    def look(self, key: GroupKey) -> None:
        """Pods of a group wait: look at once where a quota counts them."""
        if key.namespace in self._quotas.namespaces():
            self._changed.set()

    async def run(self, board: Board) -> None:
        """Look round twice a second, and whenever it is told to, until cancelled.

        Raises:
            LeaseLostError: this process must not write any more.
        """
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._tell(self._waiting(board))
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self._written = None
                logger.info("ConfigMap %s: %s", BACKLOG, str(error) or type(error).__name__)

    def _waiting(self, board: Board) -> dict[str, str]:
        limited = self._quotas.namespaces()
        named: dict[str, list[str]] = {}
        for group in board.groups.values() if limited else ():
            key, slots = group.key, group.slots
            if key.namespace not in limited or key.engine in ("", BARE) or not slots.is_full or not slots.waiting:
                continue
            execution = self._world.execution(ExecutionKey(*key))
            identifier = (execution.metadata.labels or {}).get(ID_LABEL) if execution is not None else None
            if identifier:
                named.setdefault(key.namespace, []).append(identifier)
        room = MAX_NAMED // max(1, len(named))
        return {namespace: " ".join(sorted(ids)[:room]) for namespace, ids in named.items()}

    async def _tell(self, waiting: dict[str, str]) -> None:
        if self._written is None:
            self._written = await self._read()
        if self._written == waiting or (self._written is None and not waiting):
            return
        if self._written is None:
            owner = await own_account(self._kube, self._namespace)
            metadata = {
                "name": BACKLOG,
                "labels": {"app.kubernetes.io/managed-by": "execution-options"},
                "ownerReferences": [] if owner is None else [owner],
            }
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": waiting}
            await self._writer.create(path_of("", "v1", "configmaps", self._namespace), document)
        else:
            gone = dict.fromkeys(self._written.keys() - waiting.keys())
            changed = {key: value for key, value in waiting.items() if self._written.get(key) != value}
            await self._writer.merge(self._path, {"data": gone | changed})
        self._written = waiting

    async def _read(self) -> dict[str, str] | None:
        try:
            return msgspec.json.decode(await self._kube.get(self._path), type=_ConfigMap).data
        except ApiError as error:
            if error.status == 404:
                return None
            raise
