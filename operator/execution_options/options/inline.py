"""The annotation ``execution.dev/inline``: options in an execution or a launch plan itself.

Its value is a spec of ``ExecutionOptions`` without the fields that only an object can have.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import yaml

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import INLINE_ANNOTATION, OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError, Problem
from execution_options.api.size import MAX_SNAPSHOT
from execution_options.api.validation import typed
from execution_options.options.reference import InvalidReferenceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES: Final = MAX_SNAPSHOT
MAX_DEPTH: Final = 16
"""Most levels of nesting; options have seven."""
KEPT: Final = 256
"""Most parsed texts that are cached: executions of one template have the same text."""

_OF_OBJECTS: Final = {
    **dict.fromkeys(("apiVersion", "kind", "metadata", "spec"), "write only what is inside spec"),
    "selector": "inline options are for this execution alone, which they need not select",
    "mode": "inline options are its author's, so they cannot be enforced",
    "priority": "inline options prevail over all options that are referred to; there is nothing to order",
    "updatePolicy": "inline options cannot be edited once the execution is created",
    "namespaceSelector": "inline options are for this execution alone, which they need not select",
}
_OF_ACCOUNTS: Final = (
    "cannot be inline, because it takes more rights than to create an execution: use ExecutionOptions, "
    "whose author's rights are checked"
)


class InvalidInlineError(InvalidReferenceError):
    """The text of the annotation is not valid as inline options. The message lists all problems."""


def parse(text: str | None) -> ExecutionOptionsSpec | None:
    """Parse the annotation's value, YAML or JSON; ``None`` if there is no annotation.

    Raises:
        InvalidInlineError: it is not a spec, or has fields that inline options cannot have.
    """
    return None if text is None else _parsed(text)


@lru_cache(maxsize=KEPT)
def _parsed(text: str) -> ExecutionOptionsSpec:
    try:
        document = _document(text)
        found = list(_refused(document))
        own = {key: value for key, value in document.items() if key not in _OF_OBJECTS}
        try:
            spec = typed(own, OPTIONS_KIND, ExecutionOptionsSpec, path="")
        except InvalidOptionsError as error:
            raise InvalidOptionsError(found + error.problems) from None
        if found:
            raise InvalidOptionsError(found)
    except InvalidOptionsError as error:
        raise InvalidInlineError(f"{INLINE_ANNOTATION}: {error}") from None
    return spec


def _refused(document: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems with fields that only an object can have."""
    for name, why in _OF_OBJECTS.items():
        if name in document:
            yield Problem(name, why)
    context = document.get("securityContext")
    run_as = context.get("runAs") if isinstance(context, dict) else None
    if isinstance(run_as, dict):
        for name, value in run_as.items():
            if name == "iamRole" or (name, value) == ("serviceAccountPolicy", "Create"):
                yield Problem(f"securityContext.runAs.{name}", _OF_ACCOUNTS)


def _document(text: str) -> dict[str, Any]:
    """The map in a text.

    YAML is checked event by event before any object is built: with aliases, a short text could make a large object.

    Raises:
        InvalidOptionsError: the text is not a map.
    """
    size = len(text.encode(errors="replace"))
    if size > MAX_BYTES:
        raise _unusable(f"has {size} bytes, at most {MAX_BYTES} are possible")
    if text.lstrip().startswith("{"):
        # A map of YAML can begin like this, too, and the errors of YAML have a line.
        with contextlib.suppress(UnreadableError):
            found = decoding.read(text, dict[str, Any])
            json.loads(text, object_pairs_hook=_once)
            return found
    try:
        _check_events(text)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        _check_keys(node)
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, InvalidOptionsError):
            raise
        raise _unusable(f"is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise _unusable('must be a map of options, for example {"maxParallelism": 5}')
    return document


def _once(pairs: list[tuple[str, Any]]) -> None:
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if repeated:
        raise _unusable(f"{repeated[0]} is repeated")


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _unusable("write values out instead of aliases")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _unusable(f"is nested more than {MAX_DEPTH} levels deep")


def _check_keys(node: yaml.Node | None) -> None:
    """Refuse repeated keys: YAML's parser would silently keep the last one."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _unusable(f"line {key.start_mark.line + 1}: {key.value} is repeated")
                seen.add(key.value)
            _check_keys(value)


def _unusable(message: str) -> InvalidOptionsError:
    return InvalidOptionsError([Problem("", message)])
