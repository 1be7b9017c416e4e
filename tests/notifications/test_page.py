"""No value of an execution breaks out of its text in the body of a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from execution_options.api.notification import Template
from execution_options.notifications.content import content_of
from execution_options.notifications.page import Page, builtin, escape_of, filled, problems
from support.notices import FAILED, NASTY, TEMPLATES, due, ends

if TYPE_CHECKING:
    from execution_options.notifications.ended import Ended


def body_of(body: Any, ended: Ended = FAILED, template: Template | None = None, url: str = "", **page: Any) -> Any:
    made = Page(body=json.dumps(body), **page)
    content = content_of(ended, due("http", template), url, escape=escape_of(made))
    request, note = filled(made, content)
    assert request is not None, note
    return request.body


def shape(node: Any) -> Any:
    """A document without its texts."""
    if isinstance(node, dict):
        return {name: shape(child) for name, child in node.items()}
    return [shape(child) for child in node] if isinstance(node, list) else type(node)


@given(ends(), NASTY, st.sampled_from(["None", "HTML", "Markdown"]))
def test_no_value_changes_the_structure(ended: Ended, label: str, escape: str) -> None:
    body = {"a": ["x{{ error }}", {"b": "x{{ labels.team }}", "c": 1}], "d": "x{{ name }}x"}
    hostile = structs.replace(ended, labels={"team": label})
    assert shape(body_of(body, hostile, escape=escape)) == {"a": [str, {"b": str, "c": int}], "d": str}


@given(ends(), TEMPLATES)
def test_no_value_becomes_markup(ended: Ended, template: Template | None) -> None:
    error = {"a": "x{{ error }}"}
    page = body_of(error, ended, escape="HTML")["a"]
    assert "<" not in page
    assert ">" not in page
    marked = body_of(error, ended, escape="Markdown")["a"].replace("\\\\", "")
    for sign in "`*_[]<>~|#":
        assert f"\\{sign}" in marked or sign not in marked
    assert "@" not in marked.replace("@\u200b", "")


@given(ends())
def test_no_cause_ends_its_block_of_code(ended: Ended) -> None:
    shown = body_of({"a": "```\n{{ code }}\n```"}, ended)["a"]
    assert shown.count("```") == 2


def test_empty_members_are_left_out_and_conditions_decide() -> None:
    body = {
        "url": "{{ url }}",
        "constant": "",
        "list": [{"$if": "{{ url }}", "a": "b"}, {"$if": "{{ name }}", "c": "d"}],
        "gone": {"$if": "{{ url }}", "a": 1},
        "nested": {"url": "{{ url }}"},
        "facts": [{"$each": "facts", "n": "{{ fact.name }}"}],
    }
    found = body_of(body)
    names = [one["n"] for one in found.pop("facts")]
    assert names[0] == "Execution"
    assert "Options" in names
    assert found == {"constant": "", "list": [{"c": "d"}]}
    linked = body_of(body, url="https://a.b/_{{ name }}_", escape="Markdown")
    assert linked["url"] == "https://a.b/_train-resnet-x7k2p_"
    assert linked["gone"] == {"a": 1}


def test_the_text_of_a_notification_takes_the_place_of_the_facts() -> None:
    body = {"body": "{{ body }}", "facts": [{"$each": "facts", "v": "{{ fact.value }}"}], "quoted": "{{ quoted }}"}
    found = body_of(body, template=Template(body="*{{ error | truncate(8) }}*"), escape="Markdown")
    assert found == {"body": '*child "…*'}


def test_texts_are_cut_until_the_body_is_small_enough() -> None:
    long = structs.replace(FAILED, message="é" * 2000)
    assert len(body_of({"a": "{{ error }}"}, long)["a"]) == 2000
    assert len(body_of({"a": "{{ error }}"}, long, max_bytes=2100)["a"]) == 1000


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", "it is not a JSON object: "),
        ("[]", "it is not a JSON object: "),
        ('{"a": "{{ nothing }}"}', ".a: line 1: there is no variable nothing"),
        ('{"a": [{"b": "{{ fact.colour }}"}]}', ".a[0].b: line 1: there is no fact.colour"),
        ('{"a": "{% for i in range(9) %}{% endfor %}"}', ".a: line 1: for goes over one of labels, options"),
        ('{"a": {"$each": "facts"}}', ".a: $each is for items of a list"),
        ('{"a": [{"$each": "labels"}]}', '.a[0]: $each is for items of a list, and always "facts"'),
        ('{"a": [{"$if": true}]}', ".a[0]: $if must be a template"),
    ],
)
def test_a_wrong_body_says_what_is_wrong_and_where(body: str, problem: str) -> None:
    (found,) = problems(body)
    assert found.startswith(problem)


@pytest.mark.parametrize("name", builtin())
def test_every_page_that_ships_is_right(name: str) -> None:
    page = builtin()[name]
    assert list(problems(page.body)) == []
    assert page.resolve is None or list(problems(page.resolve.body)) == []
