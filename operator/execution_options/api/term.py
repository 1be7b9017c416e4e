"""Paths into an execution, and conditions on what is there (``engines.paths`` describes the syntax)."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from execution_options.api import engine_rules as rules
from execution_options.api.base import ATOMIC_LIST, Resource, described

Path = Annotated[str, described(None, rules.SOME_PATH, max_length=256)]


class Term(Resource, frozen=True):
    """A condition on the value at a path."""

    path: Annotated[str, described("Path of the value.", rules.SOME_PATH, max_length=256)]
    is_: Annotated[
        tuple[Annotated[str, described(None, max_length=256)], ...],
        described(
            "Patterns, one of which the value must match; * stands for any characters, ? for one. Absent: any value "
            "will do.",
            extra=ATOMIC_LIST,
            max_length=32,
        ),
    ] = field(name="is", default=())


Terms = Annotated[
    tuple[Term, ...],
    described("Conditions, all of which must hold. Absent: the rule always holds.", extra=ATOMIC_LIST, max_length=8),
]
