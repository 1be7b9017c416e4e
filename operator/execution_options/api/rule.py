"""Validation rules that both the API server and Python check.

A rule has CEL for the CRD, the same predicate in Python, and one message for both. The schema refers to rules by name
(``x-rules``), because a JSON schema holds only plain data.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# The API server falls back to the fixed message beyond this size and for messages of several lines.
_MAX_MESSAGE_BYTES: Final = 5120


@dataclass(frozen=True, slots=True)
class Rule:
    """One validation rule on a node of the schema.

    Rules are only checked on values whose types and bounds are right.

    Attributes:
        name: unique name.
        cel: true for a value that keeps the rule.
        message: fixed message.
        broken: returns the message for a value (plain data, wire names) that breaks the rule, otherwise ``None``.
        message_expression: CEL of a message that depends on the value; empty: the fixed one.
        field: property to blame, if the rule is on the object around it.
        kept: true for a value that keeps the rule, if that is faster than ``broken``.
    """

    name: str
    cel: str
    message: str
    broken: Callable[[Any], str | None]
    message_expression: str = ""
    field: str = ""
    kept: Callable[[Any], object] | None = None

    def keeps(self) -> Callable[[Any], object]:
        """Return a predicate that is true for a value that keeps the rule."""
        broken = self.broken
        return self.kept or (lambda value: broken(value) is None)

    def as_validation(self) -> dict[str, str]:
        """Return the rule as an item of ``x-kubernetes-validations``."""
        validation = {"rule": self.cel, "message": self.message}
        if self.message_expression:
            validation["messageExpression"] = self.message_expression
        if self.field:
            validation["fieldPath"] = f".{self.field}"
        return validation


_rules: dict[str, Rule] = {}


def _register(rule: Rule) -> Rule:
    if rule.name in _rules:
        raise ValueError(f"two rules are called {rule.name}")
    _rules[rule.name] = rule
    return rule


def by_name(name: str) -> Rule:
    """Return the rule of that name.

    Raises:
        KeyError: there is none.
    """
    return _rules[name]


def check(*rules: Rule) -> dict[str, Any]:
    """Return a reference to rules for a field of the model (``Meta.extra_json_schema``)."""
    return {"x-rules": [rule.name for rule in rules]}


def literal(text: str) -> str:
    """Return a text as a CEL string. JSON's escapes are a subset of CEL's."""
    return json.dumps(text, ensure_ascii=True)


def matches(variable: str, pattern: str) -> str:
    """Return CEL that is true if the whole of a variable matches a pattern of both RE2 and Python."""
    # A raw string, so that the pattern reads the same in Python, in the CRD and in the reference.
    return f"{variable}.matches(r'^(?:{pattern})$')"


def holds(name: str, cel: str, predicate: Callable[[Any], object], message: str, *, field: str = "") -> Rule:
    """Create a rule on one value with a fixed message.

    Args:
        name: unique name.
        cel: true for a value that keeps the rule.
        predicate: the same in Python.
        message: of the refusal.
        field: as for :class:`Rule`.
    """
    return _register(
        Rule(name, cel, message, lambda value: None if predicate(value) else message, field=field, kept=predicate)
    )


def unchanging(name: str, message: str) -> Rule:
    """Create a rule that a value never changes. Python sees only one version, so it has nothing to check."""
    return _register(Rule(name, "self == oldSelf", message, lambda _: None))


def text(name: str, pattern: str, message: str) -> Rule:
    """Create a rule on a string, the whole of which must match a pattern.

    Args:
        name: unique name.
        pattern: only syntax with the same meaning in Python's ``re`` and in RE2 (no ``\\s``, no ``\\w``, no ``$``).
        message: of the refusal.
    """
    return holds(name, matches("self", pattern), re.compile(pattern).fullmatch, message)


def keys(name: str, cel: str, predicate: Callable[[str], bool], subject: str, complaint: str) -> Rule:
    """Create a rule on every key of a map; the message names the first key that breaks it.

    Naming all of them would need CEL's ``join``, whose estimated cost the API server refuses.

    Args:
        name: unique name.
        cel: true for a key ``k`` that keeps the rule.
        predicate: the same in Python.
        subject: beginning of the message, before the key.
        complaint: rest of the message, after the key.
    """
    fallback = f"one {subject} {complaint}"

    def broken(value: Mapping[str, Any]) -> str | None:
        offender = next((key for key in value if not predicate(key)), None)
        if offender is None:
            return None
        message = f'{subject} "{offender}" {complaint}'
        if "\n" in message or "\r" in message or len(message.encode(errors="replace")) > _MAX_MESSAGE_BYTES:
            return fallback
        return message

    opening, ending = literal(f'{subject} "'), literal(f'" {complaint}')
    expression = f"{opening} + self.filter(k, !({cel}))[0] + {ending}"
    return _register(Rule(name, f"self.all(k, {cel})", fallback, broken, expression))


def reporting(name: str, cel: str, expression: str, broken: Callable[[Any], str | None], fallback: str) -> Rule:
    """Create a rule whose message depends on the value.

    Args:
        name: unique name.
        cel: true for a value that keeps the rule.
        expression: CEL of the message.
        broken: as for :class:`Rule`.
        fallback: message if the API server cannot evaluate ``expression``.
    """
    return _register(Rule(name, cel, fallback, broken, expression))


def exactly_one(name: str, subject: str, fields: Sequence[str]) -> Rule:
    """Create a rule that an object has exactly one of some fields; the message names those that are given.

    Args:
        name: unique name.
        subject: the object, for the message.
        fields: wire names.
    """
    complaint = f"{subject} needs exactly one of {', '.join(fields[:-1])} and {fields[-1]}, but it has"

    def broken(value: Mapping[str, Any]) -> str | None:
        given = [field for field in fields if field in value]
        return None if len(given) == 1 else f"{complaint} {', '.join(given) or 'none'}"

    # join() costs too much in CEL, so the names are put together from conditional parts.
    given = " + ".join(f"(has(self.{field}) ? ', {field}' : '')" for field in fields)
    none = " && ".join(f"!has(self.{field})" for field in fields)
    return reporting(
        name,
        "[" + ", ".join(f"has(self.{field})" for field in fields) + "].filter(x, x).size() == 1",
        f"{literal(complaint + ' ')} + ({none} ? 'none' : ({given}).substring(2))",
        broken,
        f"{complaint} none or several",
    )
