"""Paths into objects, as descriptions of engines write them.

``spec.template`` names fields, ``[*]`` all items of a list or values of a map, ``[type=Complete]`` those in which a
field has a value, and ``["a.b/c"]`` a field whose name has dots.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
"""A place: names of fields and indices of items."""


class InvalidPathError(ValueError):
    """The text is not a path; the message tells where it is wrong."""


class Every(Struct, frozen=True):
    """``[*]``."""


class Where(Struct, frozen=True):
    """``[field=value]``."""

    field: str
    value: str


Step = str | Every | Where

_STEP = re.compile(
    r"""(?P<dot>\.)?(?P<name>[A-Za-z_][-A-Za-z0-9_]*)
      | \[(?P<every>\*)\]
      | \[(?P<field>[A-Za-z_][-A-Za-z0-9_]*)=(?P<value>[^\]]+)\]
      | \["(?P<quoted>[^"]+)"\]""",
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Step, ...]:
    """Return the steps of a path; the empty text is the object itself.

    Raises:
        InvalidPathError: it is not a path.
    """
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match["name"] is not None and (match["dot"] is None) == bool(steps)):
            raise InvalidPathError(f"{text!r} is no path: what begins at character {at + 1}, {text[at:]!r}, is no step")
        if match["every"]:
            steps.append(Every())
        elif match["field"]:
            steps.append(Where(match["field"], match["value"]))
        else:
            steps.append(match["name"] or match["quoted"])
        at = match.end()
    return tuple(steps)


def locate(document: Any, text: str) -> Iterator[Path]:
    """Return the places of a path in a document.

    Fields after the last ``[…]`` need not exist; everything before it must.

    Args:
        document: plain data.
        text: the path.

    Raises:
        InvalidPathError: it is not a path.
    """
    place = _plain(text)
    return _locate(document, parse(text), ()) if place is None else iter((place,))


@lru_cache(maxsize=1024)
def _plain(text: str) -> Path | None:
    """Return the only place of a path that names fields only; ``None`` for other paths."""
    steps = parse(text)
    names = tuple(step for step in steps if isinstance(step, str))
    return names if len(names) == len(steps) else None


def _locate(document: Any, steps: tuple[Step, ...], at: Path) -> Iterator[Path]:
    if all(isinstance(step, str) for step in steps):
        yield (*at, *(step for step in steps if isinstance(step, str)))
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if isinstance(document, dict) and step in document:
            yield from _locate(document[step], rest, (*at, step))
    elif isinstance(document, dict | list):
        for key, item in document.items() if isinstance(document, dict) else enumerate(document):
            if isinstance(step, Every) or (isinstance(item, dict) and str(item.get(step.field)) == step.value):
                yield from _locate(item, rest, (*at, key))


def lookup(document: Any, path: Path) -> Any:
    """Return the value at a place; ``None`` if it is absent."""
    for part in path:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return None
    return document


def filled(document: Any, path: Path) -> Any:
    """Return the value of a field; ``None`` if the field is absent or empty.

    The API server and the engines decode fields into Go structs and Protobuf messages, in which an empty string, list
    or object is the same as an absent one (``omitempty``). Use :func:`lookup` for keys of free-form maps and for values
    of variables: an empty label, annotation or variable is a value.
    https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#optional-vs-required
    """
    value = lookup(document, path)
    return None if _is_empty(value) else value


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_empty(one) for one in value.values())
    return value is None or value in ("", [])


def read(document: Any, text: str) -> Any:
    """Return the value at the first place of a path that exists; ``None`` if none does."""
    found = (lookup(document, place) for place in locate(document, text))
    return next((value for value in found if value is not None), None)
