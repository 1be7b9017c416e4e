"""Renders the message for an end. It is stored, and sent as it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from execution_options.notifications import mail, pagerduty, slack, webhook
from execution_options.notifications.content import content_of, cut, plain
from execution_options.notifications.grouped import content_of_group
from execution_options.notifications.message import Message
from execution_options.notifications.page import builtin, escape_of, filled, of_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.channel import ChannelType
    from execution_options.api.http_transport import HttpChannel
    from execution_options.notifications.content import Content
    from execution_options.notifications.ended import Ended
    from execution_options.notifications.grouped import Group
    from execution_options.notifications.page import Page
    from execution_options.notifications.route import Due

MAX_NOTE = 1024


def render(ended: Ended, due: Due, key: str, execution_url: str = "", http: HttpChannel | None = None) -> Message:
    """The message that is due. A template that fails is no error: the default text is used instead.

    Args:
        ended: the end of an execution.
        due: the notification that is due.
        key: ``namespace/name`` of the delivery.
        execution_url: ``spec.executionURL`` of the channel; empty for none.
        http: ``spec.http`` of the channel; ``None`` for another service.
    """
    content = content_of(ended, due, execution_url, escape=escape_for(due.type, http))
    return laid_out(content, due.type, key, http, resolves=due.resolves)


def render_group(group: Group, channel_type: ChannelType, key: str, http: HttpChannel | None = None) -> Message:
    """The message about several ends.

    Args:
        group: the ends.
        channel_type: type of the channel.
        key: ``namespace/name`` of the delivery by which they are sent.
        http: ``spec.http`` of the channel; ``None`` for another service.
    """
    content = content_of_group(group, escape=escape_for(channel_type, http))
    return laid_out(content, channel_type, key, http, resolves=False)


def escape_for(channel_type: ChannelType, http: HttpChannel | None) -> Callable[[str], str]:
    """How values in the body of a message are escaped.

    Args:
        channel_type: type of the channel.
        http: as for :func:`render`.
    """
    page = _page(channel_type, http)
    return slack.escape if channel_type == "slack" else str if page is None else escape_of(page)


def laid_out(
    content: Content, channel_type: ChannelType, key: str, http: HttpChannel | None, *, resolves: bool
) -> Message:
    """The message for a service.

    Args:
        content: content of the message.
        channel_type: type of the channel.
        key: ``namespace/name`` of the delivery.
        http: as for :func:`render`.
        resolves: whether it resolves the incident of an earlier execution.
    """
    page, ended = _page(channel_type, http), content.ended
    subject, text, html, payload, resolve, note = content.subject, plain(content), "", "", "", content.note
    match channel_type:
        case "email":
            html = mail.html(content)
        case "slack":
            text, payload = slack.text(content), _json(slack.blocks(content))
        case "pagerDuty":
            payload = _json(pagerduty.event(content))
            resolve = _json(pagerduty.resolution(content)) if ended.tested else ""
        case "webhook":
            payload = _json(webhook.event(content, key))
    if page is not None:
        request, problem = filled(page, content, resolves=resolves and not ended.tested)
        payload, note = "" if request is None else _json(request), "; ".join(filter(None, (note, problem)))
        if ended.tested and page.resolve is not None:
            resolve = _json(filled(page, content, resolves=True)[0])
    note = cut(note, MAX_NOTE)
    return Message(
        type=channel_type, subject=subject, text=text, html=html, payload=payload, resolve=resolve, note=note
    )


def _page(channel_type: ChannelType, http: HttpChannel | None) -> Page | None:
    """The page of a channel, if its service has one."""
    return builtin().get(channel_type) if http is None else of_channel(http)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
