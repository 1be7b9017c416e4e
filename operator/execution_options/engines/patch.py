"""JSON Patch (RFC 6902) that is recorded while a document is changed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from execution_options.engines.paths import lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.engines.paths import Path

Operation = dict[str, Any]


@lru_cache(maxsize=8192)
def pointer(path: Path) -> str:
    """Return a path as a JSON Pointer (RFC 6901)."""
    return "".join([f"/{_escaped(part) if isinstance(part, str) else part}" for part in path])


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1") if "/" in part or "~" in part else part


def parts(text: str) -> list[str]:
    """Return the parts of a JSON Pointer; indices stay text."""
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


class Patch:
    """Changes a document in place and records each change as one operation.

    The document belongs to the patch and is not copied: it was decoded for this purpose. Setting a value that is there
    already changes and records nothing.

    Args:
        document: the document to change.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations: list[Operation] = []
        # An added object is the same in its operation and in the document, so later changes in it are part of the
        # operation. Objects are kept by identity, so that no new one can get the identity of an old one.
        self._added: dict[int, Any] = {}

    def put(self, path: Path, value: Any) -> None:
        """Set ``path`` to ``value``; absent objects on the way are added."""
        parent: Any = self.document
        for depth, part in enumerate(path[:-1]):
            inner = parent[part] if isinstance(part, int) else parent.get(part)
            if inner is None:
                for missing in reversed(path[depth + 1 :]):
                    value = {missing: value}
                self._set(parent, path[: depth + 1], value)
                return
            parent = inner
        known = isinstance(parent, list) or path[-1] in parent
        if known and parent[path[-1]] == value:
            return
        self._set(parent, path, value)

    def update(self, path: Path, values: Mapping[str, Any]) -> None:
        """Set keys of the object at ``path``; it is added if it is absent."""
        there = lookup(self.document, path)
        if there is None:
            if values:
                self.put(path, dict(values))
            return
        for key, value in values.items():
            if key not in there or there[key] != value:
                self._set(there, (*path, key), value)

    def extend(self, path: Path, values: list[Any]) -> None:
        """Add ``values`` at the end of the list at ``path``; it is added if it is absent."""
        items = lookup(self.document, path)
        if items is None:
            if values:
                self.put(path, values)
            return
        for value in values:
            items.append(value)
            self._record(items, "add", (*path, "-"), value)

    def prepend(self, path: Path, values: list[Any]) -> None:
        """Add ``values`` at the beginning of the list at ``path``; it is added if it is absent."""
        items = lookup(self.document, path)
        if items is None:
            self.extend(path, values)
            return
        for index, value in enumerate(values):
            items.insert(index, value)
            self._record(items, "add", (*path, index), value)

    def remove(self, path: Path) -> None:
        """Remove ``path`` if it exists."""
        parent = self._parent(path)
        if isinstance(parent, dict) and path[-1] in parent:
            del parent[path[-1]]
            if id(parent) not in self._added:
                self.operations.append({"op": "remove", "path": pointer(path)})

    def _parent(self, path: Path) -> Any:
        return lookup(self.document, path[:-1])

    def _set(self, parent: Any, path: Path, value: Any) -> None:
        known = isinstance(parent, list) or parent.get(path[-1]) is not None
        parent[path[-1]] = value
        self._record(parent, "replace" if known else "add", path, value)

    def _record(self, parent: Any, operation: str, path: Path, value: Any) -> None:
        if id(parent) not in self._added:
            self.operations.append({"op": operation, "path": pointer(path), "value": value})
        if type(value) is dict or type(value) is list:
            self._adopt(value)

    def _adopt(self, value: Any) -> None:
        self._added[id(value)] = value
        for inner in value.values() if type(value) is dict else value:
            if type(inner) is dict or type(inner) is list:
                self._adopt(inner)
