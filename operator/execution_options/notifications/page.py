"""Pages: services that get a message as one HTTP request with JSON. Those in ``services/`` ship with the operator.

The body is parsed as JSON first and its texts are filled in afterwards, so no value can break out of its text.
"""

from __future__ import annotations

import html
import re
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast, get_args
from urllib.parse import quote

import msgspec
from msgspec import Struct

from execution_options.api import decoding
from execution_options.api.channel import ServiceType
from execution_options.api.decoding import UnreadableError
from execution_options.api.http_transport import HttpSuccess
from execution_options.notifications.content import MAX_BODY, cut, plain, printable
from execution_options.notifications.evaluation import Escaped, evaluated
from execution_options.notifications.naming import incident_key
from execution_options.notifications.template import TemplateError, problem
from execution_options.notifications.variables import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from execution_options.api.http_transport import HttpChannel
    from execution_options.notifications.content import Content

IF: Final = "$if"
EACH: Final = "$each"
FACTS: Final = "facts"
MAX_BYTES: Final = 32_768
"""Largest body of a service whose page names no smaller one."""
LIMITS: Final = (MAX_BODY, 3000, 1000, 300, 80)
"""Characters of each text, tried in this order until the body is small enough."""
_NOTHING: Final = object()


class Resolution(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The request that closes what an earlier one opened.

    Attributes:
        path: appended to the channel's URL; its values are percent-encoded.
        body: as of a page.
    """

    path: str
    body: str


class Page(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How a service takes a message. The fields that a channel has, too, are described there.

    Attributes:
        max_bytes: largest body that the service takes; a longer text is cut.
        resolve: for services with incidents.
    """

    method: str = "POST"
    body: str
    escape: str = "None"
    success: HttpSuccess = HttpSuccess()
    messages_per_second: int = 0
    max_bytes: int = MAX_BYTES
    resolve: Resolution | None = None


class Filled(Struct, frozen=True, omit_defaults=True):
    """A request of a page.

    Attributes:
        body: the JSON document.
        path: appended to the channel's URL.
    """

    body: dict[str, Any]
    path: str = ""


@cache
def builtin() -> Mapping[str, Page]:
    """The pages that ship with the operator, by type of channel."""
    folder = resources.files("execution_options.notifications") / "services"
    names = (name for name in get_args(ServiceType) if name != "http")
    return {name: msgspec.yaml.decode((folder / f"{name}.yaml").read_bytes(), type=Page) for name in names}


def of_channel(channel: HttpChannel) -> Page:
    """The page that a channel holds."""
    return Page(
        method=channel.method or "POST",
        body=channel.body,
        escape=channel.escape or "None",
        success=channel.success or HttpSuccess(),
        messages_per_second=channel.messages_per_second or 0,
    )


def escape_of(page: Page) -> Callable[[str], str]:
    """How values are escaped for a service."""
    return _ESCAPES[page.escape]


def problems(body: str) -> Iterator[str]:
    """What is wrong with the body of a page."""
    try:
        document = _parsed(body)
    except ValueError as error:
        yield str(error)
        return
    yield from _problems(document, "", page_item=False)


def filled(page: Page, content: Content, *, resolves: bool = False) -> tuple[Filled | None, str]:
    """The request for a message, and a note for people if it could not be made as the page says.

    Texts are cut if the service could not take them whole.

    Args:
        page: the page.
        content: content of the message.
        resolves: whether it closes what an earlier one opened.
    """
    source, path = (page.resolve.body, page.resolve.path) if resolves and page.resolve else (page.body, "")
    made, note = None, f"the body is larger than {page.max_bytes} bytes"
    for limit in LIMITS:
        given = _given(content, limit)
        filling = _Filling(given, _ESCAPES[page.escape])
        document = filling.value(_parsed(source))
        body = document if isinstance(document, dict) else {}
        if len(msgspec.json.encode(body)) <= page.max_bytes:
            made = Filled(body, evaluated(path, given, limit=MAX_BYTES, escape=_quoted, page=True))
            note = "; ".join(dict.fromkeys(filling.problems))
            if not note:
                break
    return made, note


def _given(content: Content, limit: int) -> dict[str, Any]:
    """The variables of a page: texts with at most so many characters."""
    ended = content.ended
    own = "" if content.body is None else _shown(content.body).strip()
    quoted, logs, facts = ("", "", ()) if own else (printable(content.quoted), content.logs, content.facts)
    given = {
        **variables(ended, content.options, content.url),
        "url": Escaped(content.url),  # checked, and in no service's markup
        "subject": content.subject,
        "heading": content.heading,
        "text": plain(content),
        "body": Escaped(cut(own, limit)),
        "quoted": quoted,
        "logs": logs,
        "code": Escaped(cut(quoted.replace("```", "'''"), limit)),
        "key": incident_key(ended),
        "fact": {},
        FACTS: tuple((name, cut(printable(value), limit)) for name, value in facts),
    }
    return {name: cut(value, limit) if type(value) is str else value for name, value in given.items()}


class _Filling:
    """Fills in the texts of a document. A template that fails gives an empty text."""

    def __init__(self, given: Mapping[str, Any], escape: Callable[[str], str]) -> None:
        self._given = given
        self._escape = escape
        self.problems: list[str] = []

    def value(self, node: Any) -> Any:
        """The node with its templates filled in, or ``_NOTHING``."""
        if isinstance(node, str):
            return self._text(node)
        if isinstance(node, list):
            made = [one for item in node for one in self._items(item)]
            return made if made or not node else _NOTHING
        if not isinstance(node, dict):
            return node
        if IF in node and self._text(node[IF]) is _NOTHING:
            return _NOTHING
        members = {name: self.value(child) for name, child in node.items() if name not in (IF, EACH)}
        kept = {name: child for name, child in members.items() if child is not _NOTHING}
        return kept if kept or not members else _NOTHING

    def _items(self, item: Any) -> Iterator[Any]:
        over = self._given[FACTS] if isinstance(item, dict) and EACH in item else None
        for fact in (None,) if over is None else over:
            inner = self if fact is None else self._with(fact)
            made = inner.value(item)
            if made is not _NOTHING:
                yield made

    def _with(self, fact: tuple[str, str]) -> _Filling:
        made = _Filling({**self._given, "fact": {"name": fact[0], "value": fact[1]}}, self._escape)
        made.problems = self.problems
        return made

    def _text(self, source: str) -> Any:
        if "{{" not in source and "{%" not in source:
            return source
        try:
            text = _shown(evaluated(source, self._given, limit=MAX_BYTES, escape=self._escape, page=True))
        except TemplateError as error:
            self.problems.append(f"body: {error}")
            text = ""
        return text or _NOTHING


def _problems(node: Any, path: str, *, page_item: bool) -> Iterator[str]:
    if isinstance(node, str):
        what = problem(node, page=True)
        if what is not None:
            yield f"{path or 'it'}: {what}"
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _problems(item, f"{path}[{index}]", page_item=True)
    elif isinstance(node, dict):
        if EACH in node and (not page_item or node[EACH] != FACTS):
            yield f'{path or "it"}: $each is for items of a list, and always "{FACTS}"'
        if IF in node and not isinstance(node[IF], str):
            yield f"{path or 'it'}: $if must be a template, for example {{{{ url }}}}"
        for name, child in node.items():
            yield from _problems(child, f"{path}.{name}", page_item=False)


@lru_cache(maxsize=256)
def _parsed(body: str) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        ValueError: it is none.
    """
    try:
        return decoding.read_object(body.encode())
    except UnreadableError as error:
        raise ValueError(f"it is not a JSON object: {error}") from None


_NO_WIDTH: Final = "\u200b"
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]#|<>~])")


def _markdown(text: str) -> str:
    """Escapes Markdown; a space without width after @ keeps people and channels from being mentioned."""
    return _MARKDOWN.sub(r"\\\1", text).replace("@", f"@{_NO_WIDTH}")


def _shown(text: str) -> str:
    """The printable part of a text with values that are escaped."""
    return _NO_WIDTH.join(map(printable, text.split(_NO_WIDTH)))


def _html(text: str) -> str:
    return html.escape(text, quote=False)


def _quoted(text: str) -> str:
    return quote(text, safe="")


_ESCAPES: Final = cast("dict[str, Callable[[str], str]]", {"None": str, "HTML": _html, "Markdown": _markdown})
