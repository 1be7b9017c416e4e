"""A message in Slack's Block Kit.

https://docs.slack.dev/reference/block-kit/blocks, with the lengths that it allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.notifications.words import cut, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.notifications.words import Words

SIGNS: Final = {
    "SUCCEEDED": ":white_check_mark:",
    "FAILED": ":x:",
    "ABORTED": ":no_entry_sign:",
    "TIMED_OUT": ":hourglass:",
    "TEST": ":test_tube:",
}
MAX_HEADER: Final = 150
MAX_SECTION: Final = 3000
MAX_FIELD: Final = 2000
MAX_FIELDS: Final = 10


def escape(text: str) -> str:
    """The text so that nothing in it is a mention, a link or a command such as ``<!channel>``.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(said: Words) -> str:
    """What is shown where blocks cannot be."""
    return escape(said.subject if said.ended.tested else f"{said.phase}: {said.subject}")


def blocks(said: Words) -> list[dict[str, Any]]:
    """The message; the body of a template is Slack's own markup, whose values were escaped."""
    made: list[dict[str, Any]] = [
        {
            "type": "header",
            # Plain text: nothing in it is markup.
            "text": {"type": "plain_text", "text": cut(f"{SIGNS[said.ended.told]} {said.subject}", MAX_HEADER)},
        }
    ]
    if said.body is not None:
        made += [_section(part) for part in _parts(printable(said.body))]
    else:
        fields = [_markdown(_field(name, value)) for name, value in said.facts[:MAX_FIELDS]]
        made.append({"type": "section", "fields": fields})
        if said.error:
            # Cut first: an escape sequence must not be cut in half. What grows by escaping grows fivefold at most.
            code = escape(cut(printable(said.error).replace("```", "'''"), MAX_SECTION // 5 - 10))
            made.append(_section(f"```{code}```"))
    if said.url:
        made.append(_section(f"<{escape(said.url)}|Open execution>"))
    if said.reason:
        made.append({"type": "context", "elements": [_markdown(escape(cut(said.reason, MAX_FIELD // 5)))]})
    return made


def _field(name: str, value: str) -> str:
    return f"*{name}*\n{escape(cut(printable(value), MAX_FIELD // 5 - 40))}"


def _parts(body: str) -> Iterator[str]:
    """The body in pieces that a section can hold, none of which begins or ends inside of an escape sequence."""
    while len(body) > MAX_SECTION:
        end = body.rfind("\n", MAX_SECTION // 2, MAX_SECTION) + 1 or MAX_SECTION
        start = body.rfind("&", end - len("&amp;") + 1, end)
        if start >= 0 and ";" not in body[start:end]:
            end = start
        yield body[:end]
        body = body[end:]
    if body.strip():
        yield body


def _section(markdown: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(markdown)}


def _markdown(markdown: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": markdown, "verbatim": True}
