"""Messages that a channel has given up on, for its fallback."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from execution_options.api import decoding
from execution_options.notifications.content import Content
from execution_options.notifications.render import escape_for, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from execution_options.notifications.ended import Ended
    from execution_options.notifications.message import Message
    from execution_options.notifications.route import Channel

WITHOUT_RECIPIENTS: Final = "a fallback is of the same type, or of a service without recipients"


def recipients(channel: Channel, fallback: Channel, lost: tuple[str, ...]) -> tuple[str, ...]:
    """Whom the fallback of a channel tells; nobody if it needs recipients that a message by the channel has not.

    Args:
        channel: the channel that has given up.
        fallback: its fallback.
        lost: the recipients that did not get the message.
    """
    pager = fallback.spec.pager_duty
    if fallback.is_destination:
        return ("",)
    if fallback.type == channel.type and any(lost):
        return tuple(filter(None, lost))
    return ("",) if pager is not UNSET and pager.routing_key_secret_ref is not UNSET else ()


def problem(channel: Channel, others: Iterable[Channel]) -> str:
    """Why the fallback of a channel has no effect, or less than it seems; empty if nothing is wrong.

    Args:
        channel: the channel.
        others: the channels of its namespace.
    """
    known, chain = {one.key.name: one for one in others} | {channel.key.name: channel}, [channel]
    while (ref := chain[-1].spec.fallback_channel_ref) is not UNSET:
        found = known.get(ref.name)
        if found is None:
            return "" if len(chain) > 1 else f"there is no NotificationChannel {ref.name} in its namespace"
        if found in chain:
            path = " → ".join(one.key.name for one in (*chain, found))
            return f"it leads back: {path}; no message is passed to a channel twice"
        if len(chain) == 1 and not recipients(channel, found, ("somebody",)):
            return f"{ref.name} is for {found.type}, which needs recipients: {WITHOUT_RECIPIENTS}"
        chain.append(found)
    return ""


def passed_on(ended: Ended, message: Message, why: str, fallback: Channel, key: str) -> Message:
    """The message for a fallback.

    Args:
        ended: the end of an execution, as far as it is still known.
        message: the message that did not arrive.
        why: which channel has given up, and why.
        fallback: the fallback.
        key: ``namespace/name`` of the new delivery.
    """
    http = fallback.spec.http or None
    body = f"{why}\n\n{_text(message)}"
    content = Content(
        ended=ended,
        subject=message.subject,
        body=escape_for(fallback.type, http)(body),
        error="",
        cause="",
        detail="",
        logs="",
        facts=(),
        url="",
        reason="",
        note="",
        options=(),
    )
    return laid_out(content, fallback.type, key, http, resolves=ended.phase == "SUCCEEDED")


def _text(message: Message) -> str:
    """A message as plain text. Slack's is made from its blocks, since its text is only the subject."""
    if message.type != "slack" or not message.payload:
        return message.text
    blocks = decoding.read(message.payload, list[dict[str, Any]])
    return html.unescape("\n".join(_texts(blocks[1:])))


def _texts(nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for node in nodes:
        inner = node.get("text")
        if isinstance(inner, dict):
            yield from _texts([inner])
        elif isinstance(inner, str):
            yield inner.replace("```", "").replace("*\n", ": ").removeprefix("*") if node.get("verbatim") else inner
        yield from _texts((*node.get("fields", ()), *node.get("elements", ())))
