"""Waiting for a task that others wait for, too."""

from __future__ import annotations

import asyncio
from typing import TypeVar

V = TypeVar("V")


async def result_of(task: asyncio.Task[V]) -> V:
    """Return the result of ``task``. The task continues if the caller is cancelled.

    If it then fails, nothing is logged, unlike with ``asyncio.shield`` from Python 3.14 on.
    """
    task.add_done_callback(_seen)
    await asyncio.wait([task])
    return task.result()


def _seen(task: asyncio.Task[V]) -> None:
    if not task.cancelled():
        task.exception()
