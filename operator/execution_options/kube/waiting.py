"""Waiting for what others wait for, too."""

from __future__ import annotations

import asyncio
from typing import TypeVar

V = TypeVar("V")


async def result_of(task: asyncio.Task[V]) -> V:
    """The result of ``task``, which goes on where whoever asks gives up.

    It fails in silence where nobody waits for it any more: ``asyncio.shield`` logs that, from Python 3.14 on.
    """
    task.add_done_callback(_seen)
    await asyncio.wait([task])
    return task.result()


def _seen(task: asyncio.Task[V]) -> None:
    if not task.cancelled():
        task.exception()
