"""Hypothesis strategies of values and of changes to an object, from the OpenAPI schemas that an API server serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from msgspec import Struct

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

Schema = dict[str, Any]
Place = tuple[str | int, ...]

DEEP = "<deep>"
"""Stands for a tree of :data:`LEVELS` levels, which Python's encoder would not write."""
LEVELS = 3_000
"""Python decodes some 1,000 levels, the API server takes 10,000."""
_MOST_LETTERS = 8_192
"""Of one long text; that fits in what an object may hold."""
_MOST_ITEMS = 70
_DEEPEST = 4
"""Levels of objects that are made for one field."""

ODD = (
    *("", " ", "\t", "\n", "a\nb", "null", "true", "0", "-1", "1e400", "none", "None", "a,b", "cluster/a", "a/b/c"),
    *("[", "]", "{", "}", "[[", "{[", '"', "'", "\\", "\\u0000", "$(A)", "$(A", "$$(A)", "%", "%00", "%s", "*", "?"),
    *("{{", "}}", "{{ execution.name }}", "{{ x.y.z }}", "{% if %}", "{%", "{#", "{{ 1 }}", "{{ namespace | upper }}"),
    *("~", "~0", "~1", "~2", "a~1b", "a/b", "/", "//", "..", "../..", "-", "spec.a[b=c]", 'metadata.labels["', "a["),
    *("é", "e\u0301", "語" * 21, "\u202e", "\ufeff", "😀", "\x00", "\x7f", "\ud800", "\uffff", "İ", "ß"),
    *(
        "a" * 63,
        "a" * 64,
        "a" * 253,
        "a" * 254,
        "a.b.c",
        "A",
        "a_b",
        "-a",
        "a-",
        "1",
        "example.com/a",
        "execution.dev/",
    ),
    *("&a [*a]", "!!int x", "<<", "a: b", "- a", "key: {", "s3://bucket/a", "s3://", "s3://b/%2e%2e", "gs://b/{{a}}"),
    *(
        "https://localhost:1/x",
        "http://[::1]/",
        "https://name.invalid",
        "//",
        "a@b.invalid",
        "a@",
        "@b",
        "a@[127.0.0.1]",
    ),
    *(
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-13-01T00:00:00Z",
        "5m",
        "-1s",
        "1e9",
    ),
)
"""Texts that programs trip over. Names of hosts lead nowhere."""
NUMBERS = (0, 1, -1, 2, 3, 63, 64, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, 2**63, 0.5, -0.0, 1e308)
NAMES = ("a", "b", "c")
IDENTITY = ("apiVersion", "kind", "metadata")
"""What every object has, and its schema does not tell more of."""

odd_texts = st.sampled_from(ODD)
_anything: SearchStrategy[Any] = st.recursive(
    st.one_of(odd_texts, st.sampled_from(NUMBERS), st.booleans(), st.none(), st.just(DEEP)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(odd_texts, inner, max_size=3)),
    max_leaves=4,
)


class Change(Struct, frozen=True):
    """What is written to one place of an object.

    Attributes:
        place: names of fields, and places in lists; a list that is shorter gets one more item.
        value: what stands there afterwards.
        absent: nothing does.
    """

    place: Place
    value: Any = None
    absent: bool = False


class Schemas:
    """OpenAPI schemas by kind, and what their fields may hold.

    Args:
        documents: by path of a group's version (``apis/batch/v1``), what the API server serves of it.
    """

    def __init__(self, documents: dict[str, Schema]) -> None:
        self._schemas: Schema = {}
        self._names: dict[tuple[str, str], str] = {}
        for document in documents.values():
            for name, schema in document["components"]["schemas"].items():
                self._schemas[name] = schema
                for one in schema.get("x-kubernetes-group-version-kind", ()):
                    self._names[f"{one['group']}/{one['version']}".strip("/"), one["kind"]] = name

    def of(self, api_version: str, kind: str) -> Schema:
        """The schema of a kind."""
        schema: Schema = self._schemas[self._names[api_version, kind]]
        return schema

    def resolved(self, schema: Schema) -> Schema:
        """The schema with its reference followed."""
        while True:
            inner = schema.get("allOf", [{}])[0] if len(schema.get("allOf", ())) == 1 else {}
            reference = schema.get("$ref") or inner.get("$ref")
            if not reference:
                return schema
            schema = self._schemas[reference.rpartition("/")[2]]

    def changes(self, schema: Schema, sample: Any, *, below: Place = ()) -> SearchStrategy[Change]:
        """A change of an object that looks like a sample: of what it has, twice as often as of what it has not.

        Args:
            schema: of the object.
            sample: an object, or a part of it.
            below: where the schema and the sample are in the object.
        """

        @st.composite
        def made(draw: DrawFn) -> Change:
            here, schema_here, place = sample, self.resolved(schema), list(below)
            while True:
                properties, items = schema_here.get("properties"), schema_here.get("items")
                more = schema_here.get("additionalProperties")
                if len(place) > len(below) and draw(st.integers(0, 7)) == 0:
                    break
                step: str | int
                if not place:
                    own = list(here) if isinstance(here, dict) else []
                    names = [name for name in (*own, *(properties or ())) if name not in IDENTITY]
                    step = draw(st.sampled_from(names or ["spec"]))
                    schema_here = (properties or {}).get(step, {})
                elif properties:
                    own = [name for name in properties if isinstance(here, dict) and name in here]
                    known = bool(own) and draw(st.integers(0, 2)) > 0
                    step = draw(st.sampled_from(own if known else list(properties)))
                    schema_here = properties[step]
                elif isinstance(items, dict):
                    length = len(here) if isinstance(here, list) else 0
                    step = draw(st.integers(0, min(length, 2)))
                    schema_here = items
                elif isinstance(more, dict):
                    keys = list(here) if isinstance(here, dict) else []
                    step = draw(st.one_of(st.sampled_from(keys), odd_texts) if keys else odd_texts)
                    schema_here = more
                elif isinstance(here, dict) and here and draw(st.integers(0, 2)):
                    step = draw(st.sampled_from(list(here)))
                elif isinstance(here, list) and here and draw(st.integers(0, 2)):
                    step = draw(st.integers(0, len(here) - 1))
                else:
                    break
                place.append(step)
                here = here[step] if _has(here, step) else None
                schema_here = self.resolved(schema_here)
            if draw(st.integers(0, 7)) == 0:
                return Change(tuple(place), absent=True)
            return Change(tuple(place), draw(self.values(schema_here)))

        return made()

    def values(self, schema: Schema, depth: int = 0) -> SearchStrategy[Any]:
        """Mostly values that a schema takes, at its bounds and within; now and then others."""
        fitting = self._fitting(self.resolved(schema), depth)
        return st.integers(0, 7).flatmap(lambda way: _anything if way == 0 else fitting)

    def _fitting(self, schema: Schema, depth: int) -> SearchStrategy[Any]:
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if schema.get("x-kubernetes-int-or-string"):
            return st.one_of(st.sampled_from(NUMBERS), odd_texts)
        match schema.get("type"):
            case "string":
                return _texts(schema)
            case "integer" | "number":
                return _numbers(schema)
            case "boolean":
                return st.booleans()
            case "array":
                return self._lists(schema, depth)
            case "object":
                return self._objects(schema, depth)
        return _anything

    def _lists(self, schema: Schema, depth: int) -> SearchStrategy[Any]:
        if depth >= _DEEPEST:
            return st.just([])
        items, most = self.values(schema["items"], depth + 1), min(schema.get("maxItems", _MOST_ITEMS), _MOST_ITEMS)
        full: SearchStrategy[Any] = items.flatmap(lambda item: st.sampled_from(([item] * most, [item] * (most + 1))))
        return st.integers(0, 7).flatmap(lambda way: full if way == 0 else st.lists(items, max_size=3))

    def _objects(self, schema: Schema, depth: int) -> SearchStrategy[Any]:
        properties, more = schema.get("properties"), schema.get("additionalProperties")
        if properties:
            return self._structs(schema, depth)
        if isinstance(more, dict) and depth < _DEEPEST:
            most, values = min(schema.get("maxProperties", _MOST_ITEMS), _MOST_ITEMS), self.values(more, depth + 1)
            full = values.map(lambda value: {f"k{place}": value for place in range(most)})
            few = st.dictionaries(st.one_of(st.sampled_from(NAMES), odd_texts), values, max_size=3)
            return st.integers(0, 7).flatmap(lambda way: full if way == 0 else few)
        return _anything if schema.get("x-kubernetes-preserve-unknown-fields") else st.just({})

    def _structs(self, schema: Schema, depth: int) -> SearchStrategy[Any]:
        properties, required = schema["properties"], schema.get("required", [])

        @st.composite
        def made(draw: DrawFn) -> Any:
            names = list(required)
            if depth < _DEEPEST:
                names += draw(st.lists(st.sampled_from(sorted(properties)), max_size=3))
            return {name: draw(self.values(properties[name], depth + 1)) for name in dict.fromkeys(names)}

        return made()


def _has(here: Any, step: str | int) -> bool:
    return (
        step in here
        if isinstance(here, dict)
        else isinstance(here, list) and isinstance(step, int) and step < len(here)
    )


def _texts(schema: Schema) -> SearchStrategy[Any]:
    most = min(schema.get("maxLength", _MOST_LETTERS), _MOST_LETTERS)
    bounds = st.sampled_from(("a" * most, "a" * (most + 1), "語" * most))
    usual = st.one_of(st.sampled_from(NAMES), odd_texts)
    return st.integers(0, 9).flatmap(lambda way: bounds if way == 0 else usual)


def _numbers(schema: Schema) -> SearchStrategy[Any]:
    bounds = [schema[key] + by for key in ("minimum", "maximum") if key in schema for by in (-1, 0, 1)]
    return st.sampled_from((*bounds, *NUMBERS[:10]))


def changed(document: Any, changes: tuple[Change, ...] | list[Change]) -> Any:
    """A copy of an object, changed in turn; what stands in the way of a place is replaced."""
    for change in changes:
        document = _put(document, change.place, change)
    return document


def _put(here: Any, place: Place, change: Change) -> Any:
    if not place:
        return change.value
    step, rest = place[0], place[1:]
    if isinstance(step, int):
        items = list(here) if isinstance(here, list) else []
        if change.absent and not rest:
            return items[:step] + items[step + 1 :]
        inner = items[step] if step < len(items) else None
        items[step : step + 1] = [_put(inner, rest, change)]
        return items
    fields = dict(here) if isinstance(here, dict) else {}
    if change.absent and not rest:
        fields.pop(step, None)
        return fields
    return {**fields, step: _put(fields.get(step), rest, change)}
