"""What is wrong with a manifest, in words for people."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a manifest.

    Attributes:
        path: where, as the API server writes it, for example ``spec.envs[0].name``; empty for the whole.
        message: what is wrong.
        value: the text or number that breaks a rule. ``None`` if the message says it all.
    """

    path: str
    message: str
    value: str | int | None = None

    def __str__(self) -> str:
        parts = [self.path, "" if self.value is None else shown(self.value), self.message]
        return ": ".join(part for part in parts if part)


class InvalidOptionsError(ValueError):
    """The manifest is not valid for its kind; ``problems`` holds everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def shown(value: object) -> str:
    """Return a value as short text for a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
        case int() if abs(value) < 2**63:
            return str(value)
        case int() | float():
            return f"{value:.12g}" if isinstance(value, float) else "a very large number"
        case str():
            return json.dumps(value[:60] + "…" if len(value) > 60 else value, ensure_ascii=False)
    return type(value).__name__
