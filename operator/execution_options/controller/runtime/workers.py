"""Workers take a key, reconcile it, and try again later if that failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from execution_options.controller.runtime.conflicts import ConflictError
from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.kube.client import REQUEST_ERRORS
from execution_options.logs import error_text
from execution_options.watchdog import WORK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from execution_options.controller.runtime.metrics import Metrics
    from execution_options.controller.runtime.queue import Queue

logger = logging.getLogger(__name__)

K = TypeVar("K", bound="Hashable")


async def work(name: str, queue: Queue[K], reconcile: Callable[[K], Awaitable[float | None]], metrics: Metrics) -> None:
    """Reconcile keys as they become due, until cancelled.

    Args:
        name: name of the queue, for logs and metrics.
        queue: the keys.
        reconcile: may return the seconds after which the key is due again.
        metrics: counts the reconciles.

    Raises:
        LeaseLostError: this process must not write any more.
    """
    while True:
        await attempt(name, queue, await queue.take(), reconcile, metrics)


async def attempt(
    name: str,
    queue: Queue[K],
    key: K,
    reconcile: Callable[[K], Awaitable[float | None]],
    metrics: Metrics,
    step: float = WORK_SECONDS,
) -> None:
    """Reconcile a key that was taken from the queue, and give it back; the other arguments are those of :func:`work`.

    Args:
        key: the key.
        step: seconds that a step of the reconcile may take.

    Raises:
        LeaseLostError: this process must not write any more.
    """
    try:
        with metrics.watchdog.working(f"a worker of the queue {name}", _shown(key), step):
            again = await reconcile(key)
    except LeaseLostError:
        raise
    except (ConflictError, *REQUEST_ERRORS) as error:
        metrics.reconciles.labels(name, "error").inc()
        pause = queue.failed(key)
        logger.warning("%s %s: %s; again in %.1f s", name, _shown(key), error_text(error), pause)
    except Exception:
        # One object in an unforeseen state must not stop all others.
        metrics.reconciles.labels(name, "error").inc()
        pause = queue.failed(key)
        logger.exception("%s %s: unexpected; again in %.1f s", name, _shown(key), pause)
    else:
        metrics.reconciles.labels(name, "done").inc()
        queue.done(key)
        if again is not None:
            queue.add(key, again)


def _shown(key: object) -> str:
    return "/".join(str(part) for part in key if part) if isinstance(key, tuple) else str(key)
