"""JSON Patch as the RFC has it, strictly: what the API server does with an answer of the webhook."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

T = TypeVar("T")


def apply(document: T, operations: list[dict[str, Any]]) -> T:
    """A copy of ``document`` with ``operations`` applied; an operation that the RFC forbids is an AssertionError."""
    result = copy.deepcopy(document)
    for operation in copy.deepcopy(operations):
        if operation["op"] == "test":
            assert _at(result, operation["path"]) == operation["value"], operation
            continue
        first, *tokens = operation["path"].split("/")
        assert first == "", operation
        assert tokens, operation
        *way, last = [token.replace("~1", "/").replace("~0", "~") for token in tokens]
        parent: Any = result
        for token in way:
            parent = parent[int(token)] if isinstance(parent, list) else parent[token]
        if isinstance(parent, list):
            _change_list(parent, last, operation)
        else:
            assert isinstance(parent, dict), operation
            assert operation["op"] == "add" or last in parent, f"{operation}: nothing is there"
            if operation["op"] == "remove":
                del parent[last]
            else:
                parent[last] = operation["value"]
    return result


def _at(document: Any, path: str) -> Any:
    for token in (token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]):
        if isinstance(document, list):
            document = document[int(token)]
        else:
            assert token in document, f"{path}: nothing is there"
            document = document[token]
    return document


def _change_list(items: list[Any], token: str, operation: dict[str, Any]) -> None:
    if operation["op"] == "add":
        place = len(items) if token == "-" else int(token)
        assert place <= len(items), operation
        items.insert(place, operation["value"])
        return
    assert int(token) < len(items), operation
    if operation["op"] == "remove":
        del items[int(token)]
    else:
        items[int(token)] = operation["value"]
