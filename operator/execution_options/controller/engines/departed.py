"""Lets go of executions of engines that were described once, and are no more: nobody else would."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from execution_options.install.release import release
from execution_options.kube.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Collection as Some

    from execution_options.controller.runtime import Writer
    from execution_options.install.remembered import Collection
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

SETTLED: Final = 20.0
"""Seconds after which no admission that began under the old entries can hold anything: they last 10 at most."""


class Leaving:
    """The kinds that nobody describes any more.

    Args:
        kube: the connection.
        writer: says whether this process may write.
    """

    def __init__(self, kube: Kube, writer: Writer) -> None:
        self._kube = kube
        self._writer = writer
        self.since: dict[Collection, float] = {}
        """Those that are looked at, and since when (monotonic, seconds)."""
        self._forbidden: set[Collection] = set()
        self._looked: set[Collection] = set()
        self.done: set[Collection] = set()
        """Those that need not be remembered any more."""

    @property
    def under_way(self) -> bool:
        """Whether there are any to look at again soon."""
        return bool(self.since.keys() - self.done - self._forbidden)

    async def look(self, gone: Some[Collection]) -> None:
        """Let go of what is held, as soon as no webhook entry names these kinds any more.

        Raises:
            LeaseLostError: another controller may be active.
            execution_options.kube.client.ApiError: the API server refuses it for another reason than a missing right.
        """
        now = time.monotonic()
        self.since = {collection: self.since.get(collection, now) for collection in gone}
        self.done &= self.since.keys()
        self._forbidden &= self.since.keys()
        self._looked &= self.since.keys()
        for collection, since in self.since.items():
            if collection in self.done:
                continue
            try:
                released = await release(self._kube, collection, self._writer.check)
            except ApiError as error:
                if error.status != 403:
                    raise
                if collection in self._looked:
                    self.done.add(collection)  # the right has gone, too, but all was let go before
                elif collection not in self._forbidden:
                    self._forbidden.add(collection)
                    logger.warning(
                        "%s are described no more, and what is held of them cannot be let go: %s; grant list and "
                        "patch again, or run `execution-options notify release --all`",
                        collection,
                        error,
                    )
                continue
            self._forbidden.discard(collection)
            self._looked.add(collection)
            if released:
                logger.info("%s are described no more: %d executions let go", collection, released)
            if now - since >= SETTLED:
                self.done.add(collection)
