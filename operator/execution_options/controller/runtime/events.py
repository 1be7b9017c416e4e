"""Events on objects: each is posted once, at a bounded rate, and never delays a reconcile."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from execution_options.fairness import RoundRobin
from execution_options.http_errors import UNANSWERED
from execution_options.kube.client import ApiError, path_of
from execution_options.logs import error_text
from execution_options.status.events import Regarding, event

if TYPE_CHECKING:
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.runtime.metrics import Metrics
    from execution_options.controller.runtime.ratelimit import SharedBucket
    from execution_options.controller.runtime.writer import Writer
    from execution_options.engines.profile import Engine
    from execution_options.status.events import Announcement

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 1000
"""Most events that wait to be posted; beyond that, some are dropped."""
NORMAL_AFTER: Final = 4
"""Warnings that are posted in a row before a normal event gets its turn."""
MAX_REMEMBERED: Final = 10_000
"""Most events that are remembered as posted."""
ATTEMPTS: Final = 3
"""Attempts to post an event before it is dropped."""


def _name(body: dict[str, Any]) -> tuple[str, str]:
    """Namespace and name of an event."""
    return body["metadata"]["namespace"], body["metadata"]["name"]


class Recorder:
    """Posts events one by one: warnings first, and namespaces take turns.

    Args:
        bucket: bounds their rate.
        metrics: counts events by result.
        instance: name of this process.
    """

    def __init__(self, writer: Writer, bucket: SharedBucket, metrics: Metrics, instance: str) -> None:
        self._writer = writer
        self._bucket = bucket
        self._metrics = metrics
        self._instance = instance
        self._warnings: RoundRobin[dict[str, Any]] = RoundRobin()
        self._others: RoundRobin[dict[str, Any]] = RoundRobin()
        self._in_row = 0
        """Warnings posted in a row while normal events waited."""
        self._any = asyncio.Event()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Namespace and name of the events that wait or were posted."""

    def post(self, engine: Engine, metadata: ObjectMeta, content: Announcement) -> None:
        """Post an event on an execution; see :meth:`post_on`."""
        self.post_on(Regarding.of(engine, metadata), content)

    def post_on(self, regarding: Regarding, content: Announcement) -> None:
        """Post an event soon, unless it was posted before.

        If too many wait, the namespace with the most loses one; normal events are dropped before warnings.
        """
        body = event(regarding, content, self._instance, datetime.now(UTC))
        name = _name(body)
        if name in self._known:
            return
        self._known[name] = None
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        (self._warnings if content.type == "Warning" else self._others).add(name[0], body)
        self._any.set()
        if len(self._warnings) + len(self._others) > MAX_WAITING:
            dropped = self._others.drop_from_longest() or self._warnings.drop_from_longest()
            if dropped is not None:
                self._known.pop(_name(dropped[1]), None)
            self._metrics.events.labels("dropped").inc()

    async def run(self) -> None:
        """Post events until cancelled."""
        while True:
            body = await self._next()
            for attempt in range(1, ATTEMPTS + 1):
                await self._bucket.take(_name(body)[0])
                if await self._post(body, last=attempt == ATTEMPTS):
                    break

    async def _next(self) -> dict[str, Any]:
        while True:
            warnings_first = self._in_row < NORMAL_AFTER
            for kind in (self._warnings, self._others) if warnings_first else (self._others, self._warnings):
                found = kind.take()
                if found is not None:
                    self._in_row = self._in_row + 1 if kind is self._warnings and self._others else 0
                    return found[1]
            self._any.clear()
            await self._any.wait()

    async def _post(self, body: dict[str, Any], *, last: bool) -> bool:
        """Whether this event is done with: posted, known or dropped."""
        namespace, regarding = body["metadata"]["namespace"], body["regarding"]
        target = f"{regarding['kind']} {namespace}/{regarding['name']}"
        try:
            await self._writer.create(path_of("events.k8s.io", "v1", "events", namespace), body)
        except ApiError as error:
            if error.status == 409:
                self._metrics.events.labels("known").inc()
                return True
            # A namespace that is gone or being deleted accepts no events.
            if error.status in (403, 404, 422):
                self._metrics.events.labels("dropped").inc()
                logger.info("event on %s: %s", target, error)
                return True
            problem: Exception = error
        except UNANSWERED as error:
            problem = error
        else:
            self._metrics.events.labels("posted").inc()
            return True
        if last:
            self._metrics.events.labels("dropped").inc()
            logger.warning("event on %s: %s", target, error_text(problem))
        return last
