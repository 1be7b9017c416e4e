"""The only entry for decoding JSON that others have written.

Every user who may create an object chooses how deep it is nested, and the API server accepts 10,000 levels. A recursive
decoder raises ``RecursionError`` at a depth that depends on Python's version and on the caller's stack. No useful value
is nested deeper than a few dozen levels, so deeper ones become ``null`` if they stop the decoder, and the rest is read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec

T = TypeVar("T")

DEEPEST: Final = 100
"""Levels of nesting that are kept of a value that is nested too deeply for the decoder."""

_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
"""A string, or a bracket outside of strings. Possessive quantifiers make it take linear time."""


class UnreadableError(msgspec.DecodeError):
    """A value cannot be decoded, or not into the requested type."""


def read(data: bytes | str | msgspec.Raw, kind: type[T], *, prune: bool = True) -> T:
    """Decode JSON.

    Args:
        data: the JSON.
        kind: what to decode into.
        prune: whether values nested more than :data:`DEEPEST` levels deep may become ``null``.

    Raises:
        UnreadableError: it is not JSON, not of the kind, or nested too deeply without ``prune``.
    """
    decoder = _decoder(cast("Any", kind))
    try:
        try:
            return cast("T", decoder.decode(data))
        except RecursionError as error:
            if not prune:
                raise UnreadableError("it is nested too deeply") from error
            return cast("T", decoder.decode(pruned(data)))
    except UnreadableError:
        raise
    except Exception as error:
        # A decoder calls code of types, which may raise anything for input that nobody expected.
        raise UnreadableError(str(error) or type(error).__name__) from error


def read_object(data: bytes | msgspec.Raw) -> dict[str, Any]:
    """Decode a whole object; values nested more than :data:`DEEPEST` levels deep become ``null``.

    This is for code that copies or compares the object, which is recursive, too.

    Raises:
        UnreadableError: it is not a JSON object.
    """
    return read(pruned(data) if may_be_deep(data) else data, dict[str, Any])


def may_be_deep(data: bytes | msgspec.Raw) -> bool:
    """Whether JSON has enough brackets to be nested more than :data:`DEEPEST` levels deep."""
    text = bytes(data)
    return text.count(b"{") + text.count(b"[") > DEEPEST


def pruned(data: bytes | str | msgspec.Raw, depth: int = DEEPEST) -> bytes:
    """Replace every list and object that is nested more than ``depth`` levels deep by ``null``.

    It takes linear time and memory, without recursion. Invalid JSON stays invalid.

    Args:
        data: the JSON.
        depth: levels to keep.
    """
    text = data.encode() if isinstance(data, str) else bytes(data)
    parts: list[bytes] = []
    level = kept = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in b"[{":
            level += 1
            if level == depth + 1:
                parts += (text[kept : token.start()], b"null")
        elif first != ord('"'):
            if level == depth + 1:
                kept = token.end()
            level -= 1
    if level <= depth:
        parts.append(text[kept:])
    return b"".join(parts)


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
