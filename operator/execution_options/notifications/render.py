"""The words of a notification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.notifications.message import Message
from execution_options.notifications.variables import variables

if TYPE_CHECKING:
    from execution_options.notifications.ended import Ended
    from execution_options.notifications.route import Due

VERBS: Final = {
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "ABORTED": "was aborted",
    "TIMED_OUT": "timed out",
}
MAX_SUBJECT: Final = 256


def render(ended: Ended, due: Due, key: str, execution_url: str = "") -> Message:
    """The message that is due; never an error, since what a template cannot say the default text says.

    Args:
        ended: what happened.
        due: by which channel, for which options.
        key: ``namespace/name`` of the delivery.
        execution_url: ``spec.executionURL`` of the channel; empty for none.
    """
    given = variables(ended, tuple(source.name for source in due.sources), execution_url)
    subject = f"{ended.name} {VERBS[ended.phase]}"
    lines = [f"{subject}.", "", *(f"{name}: {given[name]}" for name in ("namespace", "engine", "duration", "error"))]
    return Message(type=due.type, subject=subject[:MAX_SUBJECT], text="\n".join(lines))
