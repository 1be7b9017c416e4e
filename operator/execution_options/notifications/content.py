"""The content of a message, before it is laid out for a service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from msgspec import UNSET, Struct

from execution_options.notifications.ended import Ended
from execution_options.notifications.evaluation import evaluated
from execution_options.notifications.member import Member
from execution_options.notifications.template import TemplateError
from execution_options.notifications.variables import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.notifications.route import Due

VERBS: Final = {
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "ABORTED": "was aborted",
    "TIMED_OUT": "timed out",
}
TEST_SUBJECT: Final = "TEST: "
MAX_SUBJECT: Final = 256
MAX_BODY: Final = 6000
MAX_ERROR: Final = 2000
MAX_URL: Final = 2048
MAX_FACT: Final = 300


class Content(Struct, frozen=True, kw_only=True):
    """The content of a message.

    Attributes:
        ended: the end of an execution.
        subject: one line.
        body: text of the template; ``None`` for the default body.
        error: the engine's message, cut; empty after a success.
        cause: the first failure of its pods in one line; empty if none is known.
        detail: the message of the container that failed first, or of Kubernetes about it; empty if ``error`` has it.
        logs: the command that shows the container's log; empty if there is none.
        facts: names and values, in the order in which they are shown.
        url: link to the execution; empty for none.
        reason: why the message is sent; empty for a test.
        note: problems of templates; empty if there are none.
        options: names of the options that ask for the notification.
        recovers: whether this is the first success after a failure.
        members: the ends that it is about, if there are several.
    """

    ended: Ended
    subject: str
    body: str | None
    error: str
    cause: str
    detail: str
    logs: str
    facts: tuple[tuple[str, str], ...]
    url: str
    reason: str
    note: str
    options: tuple[str, ...]
    recovers: bool = False
    members: tuple[Member, ...] = ()

    @property
    def heading(self) -> str:
        """What happened, in a few words."""
        return _heading(self.ended, recovers=self.recovers)

    @property
    def quoted(self) -> str:
        """What the engine and the container say, to be shown as it is."""
        return "\n\n".join(filter(None, (self.error, self.detail, self.ended.log)))

    @property
    def phase(self) -> str:
        """The phase, for people."""
        return self.ended.reported_phase.replace("_", " ")


def content_of(ended: Ended, due: Due, execution_url: str = "", *, escape: Callable[[str], str] = str) -> Content:
    """The content of a message. If a template fails, the default text is used and ``note`` says why.

    A test says that it is one, in its subject and at the beginning of its body. There is a link only if an execution
    has ended.

    Args:
        ended: the end of an execution.
        due: the notification that is due.
        execution_url: template of the link; empty for none.
        escape: applied to the values in a template's body.
    """
    options = tuple(dict.fromkeys(source.name for source in due.sources))
    problems: list[str] = []
    given: dict[str, Any] = dict(variables(ended, options))
    url = (
        ""
        if ended.headline
        else _filled(execution_url, given, MAX_URL, lambda value: quote(value, safe=""), "executionURL", problems)
    )
    if url and not _is_link(url):
        problems.append("executionURL gives no URL")
        url = ""
    given |= {"error": cut(given["error"], MAX_ERROR), "message": cut(ended.message, MAX_ERROR), "url": url}
    subject, body = "", None
    if due.template is not None:
        if due.template.subject is not UNSET:
            subject = _filled(due.template.subject, given, 4 * MAX_SUBJECT, str, "subject", problems)
        if due.template.body is not UNSET:
            body = _filled(due.template.body, given, MAX_BODY, escape, "body", problems) or None
    subject = one_line(subject) or one_line(_subject(ended, recovers=due.recovers))
    if ended.tested:
        subject = TEST_SUBJECT + subject
        body = escape(ended.message) + ("" if body is None else f"\n\n{body}")
    detail = "" if ended.cause is None else cut(ended.cause.message, MAX_ERROR)
    asking = ", ".join(dict.fromkeys(f"{source.kind} {source.name}" for source in due.sources))
    return Content(
        ended=ended,
        subject=cut(subject, MAX_SUBJECT),
        body=body,
        error=given["error"],
        cause="" if ended.cause is None else ended.cause.text,
        detail="" if detail in given["error"] else detail,
        logs="" if ended.cause is None else ended.cause.command(ended.namespace),
        facts=tuple((name, cut(one_line(value), MAX_FACT)) for name, value in _facts(ended, options) if value),
        url=url,
        reason=f"Sent by the notifications of {asking}" if asking and not ended.tested else "",
        note="; ".join(
            [*(f"{one}: the default is used instead" for one in problems), *filter(None, [ended.log_problem])]
        ),
        options=options,
        recovers=due.recovers,
    )


def _heading(ended: Ended, *, recovers: bool) -> str:
    again = " again" if recovers else ""
    return ended.headline or f"{ended.name} {VERBS[ended.phase]}{again}"


def _subject(ended: Ended, *, recovers: bool) -> str:
    place = f"[{ended.cluster}] " if ended.cluster else ""
    why = f": {ended.cause.short}" if ended.cause is not None and ended.cause.short else ""
    return f"{place}{_heading(ended, recovers=recovers)}{why}"


def _facts(ended: Ended, options: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    given = variables(ended, ())
    return (
        (ended.kind if ended.headline else "Execution", ended.name),
        ("Cause", "" if ended.cause is None else ended.cause.text),
        ("Pods failed", "" if ended.cause is None else ended.cause.share),
        ("Cluster", ended.cluster),
        ("Namespace", ended.namespace),
        ("Engine", ended.engine),
        ("Started by", ended.launch_plan.replace("/", " ")),
        ("Duration", given["duration"]),
        ("Ended", moment(ended.finished_at)),
        ("Options", ", ".join(options)),
    )


def _filled(
    source: str,
    given: Mapping[str, Any],
    limit: int,
    escape: Callable[[str], str],
    what: str,
    problems: list[str],
) -> str:
    try:
        return evaluated(source, given, limit=limit, escape=escape)
    except TemplateError as error:
        problems.append(f"{what}: {error}")
        return ""


def _is_link(url: str) -> bool:
    """Whether a URL is one of http or https, without characters at which a mail client would end the link."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    fine = not any(sign.isspace() or not sign.isprintable() or sign in "<>\"'|\\`" for sign in url)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and fine


def moment(text: str) -> str:
    """A time (RFC 3339) for people, in UTC; empty if there is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if text else ""
    except (ValueError, OverflowError):
        return ""


def one_line(text: str) -> str:
    """The text without line breaks and control characters."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def printable(text: str) -> str:
    """The text without lone surrogates and without control characters other than line breaks and tabs."""
    return "".join(sign for sign in text if sign in "\n\t" or (sign.isprintable() and not _is_surrogate(sign)))


def _is_surrogate(sign: str) -> bool:
    return "\ud800" <= sign <= "\udfff"


def cut(text: str, size: int) -> str:
    """The text, cut to ``size`` characters; an ellipsis shows the cut."""
    return text if len(text) <= size else f"{text[: size - 1]}…"


def plain(content: Content) -> str:
    """The message as plain text."""
    parts = [content.body] if content.body is not None else [f"{content.heading}.", _details(content)]
    if content.body is None:
        parts += filter(None, (content.quoted, content.logs))
    if content.url:
        parts.append(content.url)
    if content.reason:
        parts.append(f"{content.reason}.")
    return printable("\n\n".join(part.strip("\n") for part in parts)) + "\n"


def _details(content: Content) -> str:
    width = max(len(name) for name, _ in content.facts) + 1
    return "\n".join(f"{name + ':':<{width}} {value}" for name, value in content.facts)
