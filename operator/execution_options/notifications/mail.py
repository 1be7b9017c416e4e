"""The HTML part of a mail, made from ``templates/mail.html``, whose values are all escaped by Jinja2."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from execution_options.notifications.content import one_line, printable

if TYPE_CHECKING:
    from jinja2 import Template

    from execution_options.notifications.content import Content


class Colours(NamedTuple):
    """Colours of a phase, for marks and areas: by day ``dark`` and ``light``, by night ``glow`` and ``night``."""

    dark: str
    light: str
    glow: str
    night: str


_GREY: Final = Colours("#57606a", "#eaeef2", "#9198a1", "#21262d")
COLOURS: Final = {
    "SUCCEEDED": Colours("#1a7f37", "#dafbe1", "#3fb950", "#12261e"),
    "FAILED": Colours("#cf222e", "#ffebe9", "#f85149", "#2d1315"),
    "ABORTED": _GREY,
    "TIMED_OUT": Colours("#9a6700", "#fff8c5", "#d29922", "#272115"),
    "TEST": _GREY,
}
_FONT: Final = "'Segoe UI',Helvetica,Arial,sans-serif"
_MONO: Final = "Menlo,Consolas,monospace"


def html(content: Content) -> str:
    """The HTML document for a message."""
    ended = content.ended
    return _template().render(
        COLOURS[ended.reported_phase]._asdict(),
        font=Markup(_FONT),  # noqa: S704 - constants
        mono=Markup(_MONO),  # noqa: S704
        subject=one_line(content.subject),
        preview=one_line(content.cause or content.error or " · ".join(value for _, value in content.facts[1:4])),
        phase=content.phase,
        heading=one_line(content.heading if content.body is None else content.subject),
        body=content.body,
        facts=[(name, one_line(value)) for name, value in content.facts],
        quoted=content.quoted,
        logs=content.logs,
        url=content.url,
        reason=one_line(content.reason),
        place=one_line(f"{ended.kind} {ended.namespace}/{ended.name}"),
    )


@cache
def _template() -> Template:
    made = Environment(
        loader=PackageLoader("execution_options.notifications"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["lines"] = _lines
    return made.get_template("mail.html")


def _lines(text: str) -> Markup:
    """A text whose line breaks and indentation show in HTML."""
    shown = str(escape(printable(text).strip("\n"))).replace("\t", "    ").replace("  ", "&nbsp; ")
    return Markup(shown.replace("\n", "<br>"))  # noqa: S704 - escaped above
