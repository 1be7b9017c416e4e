"""Pods without a known execution: it may not be known yet, or it is gone and has left them behind."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from execution_options.api.meta import PartialObject, kind_key
from execution_options.api.names import ID_LABEL, SNAPSHOT_ANNOTATION
from execution_options.engines.facts import Role, role
from execution_options.kube.client import METADATA_LIST, ApiError
from execution_options.kube.engines import executions_path
from execution_options.kube.listing import listed
from execution_options.parallelism.waiting import unread_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.api.keys import GroupKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache import World
    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube
    from execution_options.parallelism.board import Board

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 30.0
"""Seconds until the next search for an execution that exists but is not known, or that cannot be read."""
CHANGED_SECONDS: Final = 1.0
"""Seconds until the next search if pods with other owners came meanwhile."""


class Orphans:
    """Searches for the executions of pods, and releases pods that have none.

    Args:
        world: the engines, and whether their kinds are installed.
        board: the pods.
        explain: called with a group and why its pods are held; ``""`` for no particular reason.
    """

    def __init__(self, kube: Kube, world: World, board: Board, explain: Callable[[GroupKey, str], None]) -> None:
        self._kube = kube
        self._world = world
        self._board = board
        self._explain = explain
        self._unreadable: set[str] = set()
        """Engines whose executions cannot be read, which is logged once."""

    async def reconcile(self, key: GroupKey) -> float | None:
        """Search for the execution of pods, and release them if there is none.

        Returns:
            Seconds until the next search, or ``None`` if none is needed.
        """
        kinds = self._board.kinds(key)
        if not kinds:
            return None
        unread: list[str] = []
        for engine in self._concerned(kinds) if key.name else ():
            found = await self._has(engine, key)
            if found:
                self._explain(key, "")
                return AGAIN_SECONDS
            if found is None:
                unread.append(f"{engine.plural}.{engine.group}" if engine.group else engine.plural)
        if unread:
            self._explain(key, unread_text(unread))
            return AGAIN_SECONDS
        if not self._board.kinds(key) <= kinds:
            return CHANGED_SECONDS
        logger.info("pods with the identifier %s in namespace %s belong to nobody: released", key.name, key.namespace)
        self._board.abandon(key)
        return None

    def _concerned(self, kinds: set[tuple[str, str]]) -> Iterator[Engine]:
        """The installed engines whose executions may control pods through objects of these kinds."""
        for engine in self._world.engines.values():
            chain = {kind_key(engine.group, engine.kind), *(kind_key(part.group, part.kind) for part in engine.parts)}
            if not engine.is_pod and chain & kinds and not self._world.executions.is_absent(engine):
                yield engine

    async def _has(self, engine: Engine, key: GroupKey) -> bool | None:
        """Whether an engine has an execution, or part of one, with the identifier; ``None`` if it cannot be read."""
        path = executions_path(engine, key.namespace)
        params = {"labelSelector": f"{ID_LABEL}={key.name}"}
        try:
            found = listed(self._kube, path, PartialObject, params=params, accept=METADATA_LIST)
            has = any([self._may_have(engine, item.metadata) async for item in found])
        except ApiError as error:
            if error.is_not_found and self._world.executions.is_absent(engine):
                return False
            if engine.name not in self._unreadable:
                self._unreadable.add(engine.name)
                logger.warning("pods that may belong to executions of %s stay held: %s", engine.name, error)
            return None
        self._unreadable.discard(engine.name)
        return has

    def _may_have(self, engine: Engine, metadata: ObjectMeta) -> bool:
        """Whether an object with an identifier can own pods; not if it was only part of a former execution."""
        is_part = role(self._world.engines, engine, metadata) is Role.PART
        return is_part or SNAPSHOT_ANNOTATION in (metadata.annotations or {})
