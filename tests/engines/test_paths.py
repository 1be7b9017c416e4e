"""Paths name places in objects, whether these are there already or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.paths import InvalidPathError, filled, locate, lookup, parse, read
from execution_options.engines.profile import builtin

OBJECT: dict[str, Any] = {
    "metadata": {"labels": {"a.b/c": "x"}},
    "spec": {
        "jobs": [{"name": "one", "template": {"n": 1}}, {"name": "two"}],
        "replicas": {"Master": {"t": 1}, "Worker": {}},
    },
}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", [()]),
        ("spec.missing.deep", [("spec", "missing", "deep")]),
        ("spec.jobs[*].template", [("spec", "jobs", 0, "template"), ("spec", "jobs", 1, "template")]),
        ("spec.jobs[name=two].template", [("spec", "jobs", 1, "template")]),
        ("spec.jobs[name=three].template", []),
        ("spec.replicas[*].t", [("spec", "replicas", "Master", "t"), ("spec", "replicas", "Worker", "t")]),
        ('metadata.labels["a.b/c"]', [("metadata", "labels", "a.b/c")]),
        ("spec.none[*].template", []),
        ("spec.jobs[*].template[*].x", [("spec", "jobs", 0, "template", "n", "x")]),
    ],
)
def test_a_path_means_these_places(text: str, places: list[Any]) -> None:
    assert list(locate(OBJECT, text)) == places


def test_reading_takes_the_first_place_that_is_there() -> None:
    assert read(OBJECT, "spec.jobs[*].template.n") == 1
    assert read(OBJECT, 'metadata.labels["a.b/c"]') == "x"
    assert read(OBJECT, "spec.jobs[name=two].template.n") is None
    assert lookup(OBJECT, ("spec", "jobs", 7, "x")) is None


@pytest.mark.parametrize("empty", [None, "", [], {}, {"configMap": "", "key": None}])
def test_an_empty_field_is_as_good_as_an_absent_one(empty: Any) -> None:
    assert filled({"spec": {"field": empty}}, ("spec", "field")) is None


@pytest.mark.parametrize("value", [False, 0, "0", " ", [""], {"key": "k"}, {"clusterScope": False}])
def test_every_other_value_counts(value: Any) -> None:
    assert filled({"spec": {"field": value}}, ("spec", "field")) == value


@pytest.mark.parametrize(
    "text", [".", "a.", ".a", "a..b", "a[", "a[]", "a[0]", "a[b]", "a b", "a[b=]", "a]", "1a", 'a[""]', "a.[*]"]
)
def test_what_is_no_path_is_refused_with_the_character_where_it_goes_wrong(text: str) -> None:
    with pytest.raises(InvalidPathError, match="is no path: what begins at character"):
        parse(text)


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidPathError:
        return
    assert all(isinstance(place, tuple) for place in locate(OBJECT, text))


@pytest.mark.parametrize("engine", builtin(), ids=lambda engine: engine.name)
def test_every_path_of_an_engine_is_one(engine: Any) -> None:
    fields = (*engine.pod_templates, *engine.pod_metadata, *engine.service_account_names, *engine.envs)
    terms = [term.path for rule in engine.status.phases for term in rule.when]
    for text in (*fields, *terms, *engine.status.message, *engine.status.finished_at):
        parse(text)
