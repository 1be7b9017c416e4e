"""From an end to the message that is kept, and sent as it was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from execution_options.notifications import mail, pagerduty, slack, webhook
from execution_options.notifications.message import Message
from execution_options.notifications.words import cut, plain, words

if TYPE_CHECKING:
    from execution_options.notifications.ended import Ended
    from execution_options.notifications.route import Due

MAX_NOTE = 1024


def render(ended: Ended, due: Due, key: str, execution_url: str = "") -> Message:
    """The message that is due; never an error, since what a template cannot say the default text says.

    Args:
        ended: what happened.
        due: by which channel, for which options.
        key: ``namespace/name`` of the delivery.
        execution_url: ``spec.executionURL`` of the channel; empty for none.
    """
    said = words(ended, due, execution_url, escape=slack.escape if due.type == "slack" else str)
    subject, text, html, payload, resolve = said.subject, plain(said), "", "", ""
    match due.type:
        case "email":
            html = mail.html(said)
        case "slack":
            text, payload = slack.text(said), _json(slack.blocks(said))
        case "pagerDuty":
            payload = _json(pagerduty.event(said))
            resolve = _json(pagerduty.resolution(said)) if ended.tested else ""
        case "webhook":
            payload = _json(webhook.event(said, key))
    note = cut(said.note, MAX_NOTE)
    return Message(type=due.type, subject=subject, text=text, html=html, payload=payload, resolve=resolve, note=note)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
