"""Releases held executions of engines whose description has gone."""

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

ADMISSION_SECONDS: Final = 20.0
"""Seconds after which no admission under the old webhook entries can hold an execution; each lasts at most 10."""


class DepartedKinds:
    """The kinds of engines whose description has gone.

    Args:
        writer: checks that this process may write.
    """

    def __init__(self, kube: Kube, writer: Writer) -> None:
        self._kube = kube
        self._writer = writer
        self.since: dict[Collection, float] = {}
        """Each kind and when it was first seen to have gone (monotonic seconds)."""
        self._forbidden: set[Collection] = set()
        self._released: set[Collection] = set()
        """Kinds whose executions were all released at least once."""
        self.done: set[Collection] = set()
        """Kinds that need not be remembered any more."""

    @property
    def pending(self) -> bool:
        """Whether executions of some kind have to be released again soon."""
        return bool(self.since.keys() - self.done - self._forbidden)

    async def release(self, gone: Some[Collection]) -> None:
        """Release all held executions of kinds that no webhook entry names any more.

        Raises:
            LeaseLostError: another controller may be active.
            execution_options.kube.client.ApiError: the API server refuses it for another reason than a missing right.
        """
        now = time.monotonic()
        self.since = {collection: self.since.get(collection, now) for collection in gone}
        self.done &= self.since.keys()
        self._forbidden &= self.since.keys()
        self._released &= self.since.keys()
        for collection, since in self.since.items():
            if collection in self.done:
                continue
            try:
                released = await release(self._kube, collection, self._writer.check)
            except ApiError as error:
                if error.status != 403:
                    raise
                if collection in self._released:
                    self.done.add(collection)  # the right has gone, too, but all were released before
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
            self._released.add(collection)
            if released:
                logger.info("%s are described no more: %d executions let go", collection, released)
            if now - since >= ADMISSION_SECONDS:
                self.done.add(collection)
