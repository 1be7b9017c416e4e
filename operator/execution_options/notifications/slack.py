"""A message in Slack's Block Kit.

The limits are from https://docs.slack.dev/reference/block-kit/blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.notifications.content import cut, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.notifications.content import Content

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
    """Escapes text, so that nothing in it is a mention, a link or a command such as ``<!channel>``.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(content: Content) -> str:
    """The text that Slack shows where it cannot show blocks."""
    return escape(content.subject if content.ended.tested else f"{content.phase}: {content.subject}")


def blocks(content: Content) -> list[dict[str, Any]]:
    """The blocks of a message. A template's body is Slack markup; the values in it are already escaped."""
    sign = SIGNS[content.ended.reported_phase]
    made: list[dict[str, Any]] = [
        {
            "type": "header",
            # Plain text: nothing in it is markup.
            "text": {"type": "plain_text", "text": cut(f"{sign} {content.subject}", MAX_HEADER)},
        }
    ]
    if content.body is not None:
        made += [_section(part) for part in _parts(printable(content.body))]
    else:
        fields = [_markdown(_field(name, value)) for name, value in content.facts[:MAX_FIELDS]]
        made.append({"type": "section", "fields": fields})
        made += [_code(text) for text in (content.error, content.detail, content.logs) if text]
        if content.ended.log:
            made.append(_log(content.ended.log))
    if content.url:
        made.append(_section(f"<{escape(content.url)}|Open execution>"))
    if content.reason:
        made.append({"type": "context", "elements": [_markdown(escape(cut(content.reason, MAX_FIELD // 5)))]})
    return made


def _code(text: str) -> dict[str, Any]:
    # Cut before escaping, so that no escape sequence is split. Escaping makes text at most five times as long.
    code = escape(cut(printable(text).replace("```", "'''"), MAX_SECTION // 5 - 10))
    return _section(f"```{code}```")


def _log(text: str) -> dict[str, Any]:
    """As many of the last lines as fit."""
    lines: list[str] = []
    left = MAX_SECTION - 10
    for line in reversed(printable(text).replace("```", "'''").splitlines()):
        line = escape(cut(line, MAX_SECTION // 10))
        left -= len(line) + 1
        if left < 0:
            break
        lines.append(line)
    return _section("```" + "\n".join(reversed(lines)) + "```")


def _field(name: str, value: str) -> str:
    return f"*{name}*\n{escape(cut(printable(value), MAX_FIELD // 5 - 40))}"


def _parts(body: str) -> Iterator[str]:
    """The body in parts that fit into a section. No escape sequence is split between two parts."""
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
