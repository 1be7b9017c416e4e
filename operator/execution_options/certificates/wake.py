"""Notice any change of one object, so that it need not be read often."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final

from execution_options.kube.client import METADATA, REQUEST_ERRORS, error_of
from execution_options.logs import error_text

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

_WATCH_SECONDS: Final = (240, 300)
_SILENCE: Final = 330.0
_BACKOFF: Final = (0.5, 30.0)


async def wake_on_change(kube: Kube, collection: str, name: str, changed: asyncio.Event) -> None:
    """Set an event whenever an object is created, changed or deleted, until cancelled.

    The caller reads the object itself, and from time to time without an event, too. So errors, such as a missing right
    to watch, cost only time and are logged for debugging.

    Args:
        kube: The connection.
        collection: Path of the object's collection.
        name: Name of the object.
        changed: The event.
    """
    pause = _BACKOFF[0]
    while True:
        params = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            # Without a version a watch begins with the current object, so no change between two watches is missed.
            "timeoutSeconds": str(random.randint(*_WATCH_SECONDS)),  # noqa: S311 - jitter
        }
        try:
            stream = await kube.stream(collection, params=params, accept=METADATA, silence=_SILENCE)
            async with stream as response:
                if response.status >= 400:
                    raise error_of(response.status, await response.read())
                async for _ in response.content.iter_any():
                    changed.set()
                    pause = _BACKOFF[0]
        except REQUEST_ERRORS as error:
            logger.debug("watch of %s %s: %s", collection, name, error_text(error))
        # Also after an orderly end: a watch that ends at once must not be opened again and again.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        pause = min(pause * 2, _BACKOFF[1])
