"""docs/reasons.md explains every reason that the operator gives, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import execution_options
from execution_options.providers import slack
from execution_options.status.channelstatus import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"
SOURCES = sorted(Path(execution_options.__file__).parent.rglob("*.py"))

CALLS: Final = {
    "Unsent": ("deliveries", 1),
    "state.suppressed": ("deliveries", 1),
    "state.failed": ("deliveries", 1),
    "permanent": ("deliveries", 0),
    "temporary": ("deliveries", 0),
    "ambiguous": ("deliveries", 0),
    "MaterialError": ("deliveries", 0),
    "structs.replace": ("deliveries", None),
    "Announcement": ("events", 1),
    "Dangling": ("events", 0),
    "Aspect": ("conditions", 2),
    "RefusedError": ("refusals", 0),
}
"""Calls with a reason: the section of the page, and the position of the argument; ``None`` for a keyword only."""
ELSEWHERE: Final = {
    # These pass on a reason that is found elsewhere.
    *("*settings", "*old", "sent.reason", "rejection.reason", "ordered[0].reason", "found[0][1]"),
    *("problem.reason", "unrouted.reason", "error.reason", "error.answer.reason", "answer.reason", "reason"),
    "reason or lost[0].reason",
    "fault",
    # Slack's own errors.
    *("_reason(answer)", "_reason(code)"),
}
NAMED: Final = {
    "accountplan.py": "conditions",
    "resolution.py": "conditions",
    "route.py": "deliveries",
    "refusal.py": "deliveries",
    "refusals.py": "events",
}
"""Files with a variable or field ``reason`` whose values are reasons."""


def words(node: ast.AST | None) -> Iterator[str]:
    """The strings that an expression or a type can be."""
    match node:
        case ast.Constant(value=str(text)):
            yield from [text] if text else []
        case ast.IfExp(body=body, orelse=other):
            yield from (*words(body), *words(other))
        case ast.BoolOp(values=some) | ast.Dict(values=some) | ast.Tuple(elts=some):
            for one in some:
                yield from words(one)
        case ast.Subscript(slice=inner):
            yield from words(inner)


def called(node: ast.Call) -> tuple[str, ast.AST | None]:
    """The section of a call, and its reason."""
    name = ast.unparse(node.func)
    kind, at = CALLS.get(name, ("", None))
    given: ast.AST | None = {keyword.arg: keyword.value for keyword in node.keywords}.get("reason")
    if given is None and at is not None and at < len(node.args):
        given = node.args[at]
    return kind, given


def assigned(node: ast.AST) -> ast.AST | None:
    """The value or the type that is assigned to ``reason``."""
    match node:
        case ast.AnnAssign(target=ast.Name(id="reason"), annotation=kind):
            return kind
        case ast.Assign(targets=[ast.Name(id="reason")], value=value):
            return value
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="reason"), *_])], value=ast.Tuple(elts=[first, *_])):
            return first
    return None


def emitted() -> tuple[dict[str, set[str]], set[str]]:
    """The reasons in the code by section, and expressions whose reasons cannot be seen."""
    found: dict[str, set[str]] = {kind: set() for kind in ("deliveries", "events", "conditions", "refusals")}
    unseen: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            kind, given = called(node) if isinstance(node, ast.Call) else (NAMED.get(path.name, ""), assigned(node))
            if kind and given is not None:
                found[kind].update(words(given))
                if not list(words(given)) and not isinstance(given, ast.Constant):
                    unseen.add(ast.unparse(given))
    codes = (slack._TEMPORARY | slack._TOKEN | slack._RECIPIENT | slack._MESSAGE) - {"ratelimited", "rate_limited"}
    found["deliveries"] |= {slack._reason(code) for code in codes} | {"Accepted", "Unauthorized"}
    # The conditions of options about notifications have the reasons of deliveries and Events.
    found["conditions"] |= {"NoChannel", "ChannelMissing", "ChannelTypeMismatch"}
    found["conditions"] |= {"NotificationRefused", "NotificationLost", REFUSED}
    found["refusals"] |= {"OptionsTooLarge", "PatchTooLarge", "InvalidReference", "Unreadable"}
    found["refusals"] |= {"TooManyRequests", "QuotaNearlyUsed"}
    return found, unseen


def explained() -> dict[str, set[str]]:
    """The reasons on the page by section, each with a cause and a remedy."""
    found: dict[str, set[str]] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        title, *lines = section.splitlines()
        rows = [[cell.strip() for cell in line.split(" | ")] for line in lines if line.startswith("| `")]
        assert all(len(row) >= 3 and all(row) for row in rows)
        some = [word for row in rows for word in re.findall(r"`(\w+)`", row[0])]
        assert len(some) == len(set(some)), title
        found[title.rpartition(" ")[2].lower()] = set(some)
    return found


def test_every_reason_is_explained_and_no_other() -> None:
    assert explained() == emitted()[0]


def test_every_reason_can_be_seen_in_the_code() -> None:
    assert emitted()[1] == ELSEWHERE
