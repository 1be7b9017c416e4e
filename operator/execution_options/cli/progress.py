"""An execution on its way: one line that is written again, or a line for each change."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import Struct

from execution_options.api.names import ID_LABEL, WAITING_ANNOTATION
from execution_options.engines.failures import failure_of
from execution_options.launching import LaunchError
from execution_options.notifications.cause import Cause

if TYPE_CHECKING:
    from execution_options.engines.phases import Outcome
    from execution_options.launching import AsyncExecution

EXIT_CODES: Final = {"SUCCEEDED": 0, "FAILED": 1, "ABORTED": 3, "TIMED_OUT": 4}
SECONDS: Final = 1.0
"""Between two lines, where they are written again."""


class _Line(Struct):
    """What is known now, and what stands on the terminal."""

    live: bool
    began: float
    phase: str = "QUEUED"
    waiting: str = ""
    place: str = ""
    pods: str = ""
    printed: str = ""
    identifier: str = ""

    def text(self) -> str:
        return "  ".join(part for part in (self.phase, self.pods, self.place or self.waiting) if part)

    def print(self) -> None:
        text = self.text()
        seconds = int(time.monotonic() - self.began)
        elapsed = f"{seconds // 60}:{seconds % 60:02}"
        if self.live:
            click.echo(f"\r\x1b[2K{text}  {elapsed}", nl=False, err=True)
        elif text != self.printed:
            click.echo(f"{elapsed}  {text}", err=True)
        self.printed = text


async def follow(execution: AsyncExecution, *, live: bool) -> int:
    """Follow an execution to its end, on standard error.

    Args:
        execution: what to follow.
        live: whether to write one line again and again, as a terminal can.

    Returns:
        The exit code of its phase.

    Raises:
        LaunchError: it cannot be followed.
    """
    line = _Line(live=live, began=time.monotonic())
    ticks = asyncio.create_task(_ticks(execution, line))
    last: Outcome | None = None
    try:
        async for outcome, document in execution.outcomes():
            last = outcome
            metadata = document.get("metadata", {})
            line.phase = outcome.phase
            line.waiting = (metadata.get("annotations") or {}).get(WAITING_ANNOTATION, "")
            line.identifier = (metadata.get("labels") or {}).get(ID_LABEL, "")
            line.print()
    finally:
        ticks.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticks
        if live:
            click.echo(err=True)
    if last is None or not last.terminal:
        return EXIT_CODES["ABORTED"]
    click.echo(f"{execution.reference} {last.phase}{f': {last.message}' if last.message else ''}")
    if last.phase in ("FAILED", "TIMED_OUT"):
        with contextlib.suppress(LaunchError):
            for text in _failures(await execution.pods(line.identifier), execution.namespace):
                click.echo(text)
    return EXIT_CODES[last.phase]


async def _ticks(execution: AsyncExecution, line: _Line) -> None:
    """Count its pods, and let the time go on."""
    while True:
        await asyncio.sleep(SECONDS)
        with contextlib.suppress(LaunchError):
            pods = await execution.pods(line.identifier)
            line.pods, line.place = _counted(pods), _place(pods)
        line.print()


def _counted(pods: list[dict[str, Any]]) -> str:
    states = {"Running": "running", "Pending": "waiting", "Succeeded": "done", "Failed": "failed"}
    counts: dict[str, int] = {}
    for pod in pods:
        state = states.get(pod.get("status", {}).get("phase", ""), "waiting")
        counts[state] = counts.get(state, 0) + 1
    parts = [f"{counts[state]} {state}" for state in states.values() if state in counts]
    return f"pods: {', '.join(parts)}" if parts else ""


def _place(pods: list[dict[str, Any]]) -> str:
    """What the next waiting pod waits for, by its annotation."""
    notes = [pod["metadata"].get("annotations", {}).get(WAITING_ANNOTATION, "") for pod in pods]
    return min((note for note in notes if note), key=lambda note: (len(note), note), default="")


def _failures(pods: list[dict[str, Any]], namespace: str) -> list[str]:
    """What failed first, and where to read on."""
    found = [failure_of(pod["metadata"]["name"], pod.get("status") or {}) for pod in pods]
    failures = [one for one in found if one is not None]
    if not failures:
        return []
    first = min(failures, key=lambda one: one.place)
    cause = Cause(
        pod=first.pod,
        container=first.container,
        reason=first.reason,
        exit_code=first.exit_code,
        failed=sum(one.ended for one in failures),
        pods=len(pods),
        logs=first.logs,
    )
    share = f"{cause.share} pods failed, first " if cause.share else ""
    message = f": {first.message}" if first.message else ""
    return [line for line in (f"{share}{cause.text}{message}", cause.command(namespace)) if line]
