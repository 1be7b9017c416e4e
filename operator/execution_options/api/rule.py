"""What a validation rule is: one definition that the API server and Python both check.

A rule holds its CEL for the CRD, the same predicate in Python, and one message for both. The schema
refers to rules by name (``x-rules``), since a JSON schema can only hold plain data.
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

    ``cel`` is true where the rule holds. ``broken`` is its twin in Python: it takes the same value as
    plain data (wire names) and gives what is wrong, or None. Both may rely on the shape of the value,
    because rules are only checked where types and bounds are right. ``field`` names the property
    that is to blame where the rule sits on the object around it.
    """

    name: str
    cel: str
    message: str
    broken: Callable[[Any], str | None]
    message_expression: str = ""
    field: str = ""
    kept: Callable[[Any], object] | None = None
    """True of a value by which the rule is kept, where that can be told faster than what is wrong."""

    def keeps(self) -> Callable[[Any], object]:
        """Tells whether a value keeps the rule."""
        broken = self.broken
        return self.kept or (lambda value: broken(value) is None)

    def as_validation(self) -> dict[str, str]:
        """The rule as an item of ``x-kubernetes-validations``."""
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
    """The rule of that name; KeyError where there is none."""
    return _rules[name]


def check(*rules: Rule) -> dict[str, Any]:
    """What refers to the rules from a field of the model (``Meta.extra_json_schema``)."""
    return {"x-rules": [rule.name for rule in rules]}


def literal(text: str) -> str:
    """The text as a CEL string; JSON's escapes are a subset of CEL's."""
    return json.dumps(text, ensure_ascii=True)


def matches(variable: str, pattern: str) -> str:
    """CEL that is true where the whole of the variable matches the pattern."""
    # A raw string, so that the pattern reads the same in Python, in the CRD and in the reference.
    return f"{variable}.matches(r'^(?:{pattern})$')"


def holds(name: str, cel: str, predicate: Callable[[Any], object], message: str, *, field: str = "") -> Rule:
    """A rule on one value with a fixed message."""
    return _register(
        Rule(name, cel, message, lambda value: None if predicate(value) else message, field=field, kept=predicate)
    )


def unchanging(name: str, message: str) -> Rule:
    """A rule on a value that stays as it was created; Python, which sees one version only, has nothing to check."""
    return _register(Rule(name, "self == oldSelf", message, lambda _: None))


def text(name: str, pattern: str, message: str) -> Rule:
    """A rule on a string: the whole of it matches the pattern.

    The pattern keeps to what Python's ``re`` and RE2 read alike (no ``\\s``, no ``\\w``, no ``$``).
    """
    return holds(name, matches("self", pattern), re.compile(pattern).fullmatch, message)


def keys(name: str, cel: str, predicate: Callable[[str], bool], subject: str, complaint: str) -> Rule:
    """A rule on every key ``k`` of a map; the message names the first key that breaks it.

    Naming all of them would need CEL's ``join``, whose estimated cost the API server refuses.
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


def told(name: str, cel: str, expression: str, broken: Callable[[Any], str | None], fallback: str) -> Rule:
    """A rule whose message is made from the value, by CEL there and by ``broken`` here."""
    return _register(Rule(name, cel, fallback, broken, expression))


def exactly_one(name: str, subject: str, fields: Sequence[str]) -> Rule:
    """A rule on an object: exactly one of the fields is given; the message names those that are."""
    complaint = f"{subject} needs exactly one of {', '.join(fields[:-1])} and {fields[-1]}, but it has"

    def broken(value: Mapping[str, Any]) -> str | None:
        given = [field for field in fields if field in value]
        return None if len(given) == 1 else f"{complaint} {', '.join(given) or 'none'}"

    # join() is too dear, so that the names are put together from conditional parts.
    given = " + ".join(f"(has(self.{field}) ? ', {field}' : '')" for field in fields)
    none = " && ".join(f"!has(self.{field})" for field in fields)
    return told(
        name,
        "[" + ", ".join(f"has(self.{field})" for field in fields) + "].filter(x, x).size() == 1",
        f"{literal(complaint + ' ')} + ({none} ? 'none' : ({given}).substring(2))",
        broken,
        f"{complaint} none or several",
    )
