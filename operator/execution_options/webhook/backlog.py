"""Executions that have waiting pods, according to the controller's ConfigMap."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from execution_options.api.meta import ObjectMeta
from execution_options.api.names import BACKLOG
from execution_options.kube.client import path_of
from execution_options.kube.store import Store
from execution_options.parallelism.backlog import VALID_SECONDS, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.kube.client import Kube


class ConfigMap(Struct, frozen=True):
    """A ConfigMap."""

    metadata: ObjectMeta
    data: dict[str, str] = {}


class Backlog:
    """Follows the controller's ConfigMap. One that the controller has not written for a while is ignored.

    Its age starts when its change is seen here, so the clocks of two machines need not agree.

    Args:
        kube: the connection.
        namespace: of the operator.
        clock: monotonic seconds.
    """

    def __init__(self, kube: Kube, namespace: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._store = Store(
            kube,
            path_of("", "v1", "configmaps", namespace),
            ConfigMap,
            field_selector=f"metadata.name={BACKLOG}",
            on_change=self.changed,
        )
        self._data: dict[str, str] = {}
        self._named: dict[str, frozenset[str]] = {}
        """Namespace → decoded data of the current version."""
        self._seen = -math.inf

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._store.run()

    def changed(self, _: ConfigMap | None, new: ConfigMap | None) -> None:
        """Use the ConfigMap that was written; ``None`` if it was deleted."""
        self._data = {} if new is None else new.data
        self._named = {}
        self._seen = self._clock()

    def names(self, namespace: str, identifier: str) -> bool:
        """Whether an execution has waiting pods.

        Args:
            namespace: of the execution.
            identifier: of the execution.
        """
        text = self._data.get(namespace)
        if not text or self._clock() - self._seen > VALID_SECONDS:
            return False
        named = self._named.get(namespace)
        if named is None:
            named = self._named[namespace] = read(text)
        return identifier in named
