"""Renders the message for an end. It is stored, and sent as it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from execution_options.notifications import mail, pagerduty, slack, webhook
from execution_options.notifications.content import content_of, cut, plain
from execution_options.notifications.message import Message

if TYPE_CHECKING:
    from execution_options.notifications.ended import Ended
    from execution_options.notifications.route import Due

MAX_NOTE = 1024


def render(ended: Ended, due: Due, key: str, execution_url: str = "") -> Message:
    """The message that is due. A template that fails is no error: the default text is used instead.

    Args:
        ended: the end of an execution.
        due: the notification that is due.
        key: ``namespace/name`` of the delivery.
        execution_url: ``spec.executionURL`` of the channel; empty for none.
    """
    content = content_of(ended, due, execution_url, escape=slack.escape if due.type == "slack" else str)
    subject, text, html, payload, resolve = content.subject, plain(content), "", "", ""
    match due.type:
        case "email":
            html = mail.html(content)
        case "slack":
            text, payload = slack.text(content), _json(slack.blocks(content))
        case "pagerDuty":
            payload = _json(pagerduty.event(content))
            resolve = _json(pagerduty.resolution(content)) if ended.tested else ""
        case "webhook":
            payload = _json(webhook.event(content, key))
    note = cut(content.note, MAX_NOTE)
    return Message(type=due.type, subject=subject, text=text, html=html, payload=payload, resolve=resolve, note=note)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
