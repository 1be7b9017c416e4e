"""What an author wrote in other fields of an execution than those that options are written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from execution_options.engines.paths import locate, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.api.authored_fields import AuthoredFields
    from execution_options.engines.profile import Engine


def written_elsewhere(engine: Engine, execution: dict[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the author wrote elsewhere, at the places to which options are written.

    Args:
        engine: its engine.
        execution: as its author wrote it.
        beside: what the author wrote in another object, in the same form; what is in the execution comes before it.

    Returns:
        A tree in the form of the execution, in which variables are a map from names to values.
    """
    found: dict[Any, Any] = dict(beside)
    for fields in engine.authored_fields:
        for *way, last in locate(execution, fields.of):
            values = [value for value in _values(execution, fields) if value]
            if not values:
                continue
            inner = found
            for step in way:
                inner[step] = inner = dict(inner.get(step) or {})
            values.append(_value(inner.get(last)))
            texts = [value for value in values if isinstance(value, str)]
            # The first field that has a value counts.
            inner[last] = texts[0] if texts else {key: one for value in reversed(values) for key, one in value.items()}
    return found


def _values(execution: dict[str, Any], fields: AuthoredFields) -> Iterator[Any]:
    for text in fields.fields:
        for place in locate(execution, text):
            yield _value(lookup(execution, place))
    properties = fields.properties
    if properties is not UNSET:
        for place in locate(execution, properties.map):
            there = lookup(execution, place)
            entries = there.items() if isinstance(there, dict) else ()
            yield {
                key.removeprefix(properties.prefix): str(value)
                for key, value in entries
                if key.startswith(properties.prefix)
            }


def _value(there: Any) -> Any:
    """Return a text, or a map of texts: labels, annotations, or variables by name."""
    if isinstance(there, dict):
        return {key: value if isinstance(value, str) else "(valueFrom)" for key, value in there.items()}
    if isinstance(there, list):
        named = (one for one in there if isinstance(one, dict) and isinstance(one.get("name"), str))
        return {one["name"]: "(valueFrom)" if "valueFrom" in one else str(one.get("value", "")) for one in named}
    return there if isinstance(there, str) else {}
