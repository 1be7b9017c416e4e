"""The HTML part of a mail. It uses tables and inline styles, because mail clients understand little else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from execution_options.notifications.content import printable

if TYPE_CHECKING:
    from execution_options.notifications.content import Content

COLOURS: Final = {
    "SUCCEEDED": ("#1a7f37", "#dafbe1"),
    "FAILED": ("#cf222e", "#ffebe9"),
    "ABORTED": ("#57606a", "#eaeef2"),
    "TIMED_OUT": ("#9a6700", "#fff8c5"),
    "TEST": ("#57606a", "#eaeef2"),
}
"""A dark and a light colour for each phase."""

_GAP: Final = '<tr><td style="height:32px;line-height:32px;font-size:0">&nbsp;</td></tr>'
_FONT: Final = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Helvetica,Arial,sans-serif"
_MONO: Final = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"


def html(content: Content) -> str:
    """The HTML document for a message."""
    dark, light = COLOURS[content.ended.reported_phase]
    parts = [_heading(content, dark, light)]
    if content.body is None:
        parts += [_table(content), _error(content, dark, light)]
    else:
        parts.append(
            _row(f'<div style="{_FONT};font-size:15px;line-height:1.55;color:#24292f">{_text(content.body)}</div>')
        )
    if content.url:
        parts.append(_button(content.url))
    parts += [_GAP, _footer(content)]
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light"><meta name="supported-color-schemes" content="light">'
        f"<title>{_line(content.subject)}</title></head>"
        '<body style="margin:0;padding:0;background:#f6f8fa">'
        f'<div style="display:none;max-height:0;overflow:hidden">{_line(_preview(content))}</div>'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f6f8fa">'
        '<tr><td align="center" style="padding:32px 12px">'
        '<table role="presentation" width="600" cellpadding="0" cellspacing="0" style="width:100%;max-width:600px;'
        'background:#ffffff;border:1px solid #d0d7de;border-radius:10px;border-collapse:separate;overflow:hidden">'
        f'<tr><td style="height:6px;line-height:6px;font-size:0;background:{dark}">&nbsp;</td></tr>'
        f"{''.join(parts)}</table></td></tr></table></body></html>"
    )


def _heading(content: Content, dark: str, light: str) -> str:
    return _row(
        f'<span style="{_FONT};display:inline-block;padding:4px 12px;border-radius:12px;background:{light};'
        f'color:{dark};font-size:12px;font-weight:700;letter-spacing:.4px">{_line(content.phase)}</span>'
        f'<h1 style="{_FONT};margin:14px 0 0;font-size:22px;line-height:1.3;font-weight:600;color:#1f2328;'
        f'word-break:break-word">{_line(content.heading if content.body is None else content.subject)}</h1>',
        top=28,
    )


def _table(content: Content) -> str:
    rows = "".join(
        f'<tr><td style="{_FONT};padding:7px 16px 7px 0;font-size:14px;color:#656d76;white-space:nowrap;'
        f'vertical-align:top;border-top:1px solid #eaeef2" width="110">{_line(name)}</td>'
        f'<td style="{_FONT};padding:7px 0;font-size:14px;color:#1f2328;word-break:break-word;'
        f'border-top:1px solid #eaeef2">{_line(value)}</td></tr>'
        for name, value in content.facts
    )
    return _row(f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0">{rows}</table>')


def _error(content: Content, dark: str, light: str) -> str:
    quoted = (
        f'<div style="{_MONO};padding:12px 14px;background:{light};border-left:4px solid {dark};border-radius:4px;'
        f'font-size:13px;line-height:1.5;color:#24292f;word-break:break-word">{_text(content.quoted)}</div>'
    )
    logs = f'<div style="{_MONO};font-size:12px;color:#57606a;word-break:break-all">{_text(content.logs)}</div>'
    return (_row(quoted) if content.quoted else "") + (_row(logs) if content.logs else "")


def _button(url: str) -> str:
    return _row(
        f'<a href="{escape(url)}" style="{_FONT};display:inline-block;padding:10px 20px;border-radius:6px;'
        f'background:#0969da;color:#ffffff;font-size:14px;font-weight:600;text-decoration:none">Open execution</a>'
    )


def _footer(content: Content) -> str:
    place = f"{content.ended.kind} {content.ended.namespace}/{content.ended.name}"
    return (
        f'<tr><td style="{_FONT};padding:18px 32px;background:#f6f8fa;border-top:1px solid #d0d7de;font-size:12px;'
        f'line-height:1.5;color:#656d76;word-break:break-word">{_line(content.reason)}'
        f"{'<br>' if content.reason else ''}{_line(place)}</td></tr>"
    )


def _row(cell: str, top: int = 20) -> str:
    return f'<tr><td style="padding:{top}px 32px 0">{cell}</td></tr>'


def _preview(content: Content) -> str:
    """The preview text that mail clients show after the subject."""
    return content.cause or content.error or " · ".join(value for _, value in content.facts[1:4])


def _line(text: str) -> str:
    return escape(" ".join(printable(text).split()))


def _text(text: str) -> str:
    return escape(printable(text).strip("\n")).replace("\t", "    ").replace("  ", "&nbsp; ").replace("\n", "<br>")
