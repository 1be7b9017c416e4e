"""Templates say what they are given and can do nothing else."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.notifications.evaluation import evaluated
from execution_options.notifications.template import FILTERS, TemplateError, problem
from execution_options.notifications.variables import VARIABLES, variables
from support.notices import FAILED

GIVEN = variables(FAILED, ("notify-team", "audit"), "https://argo.example.com/x")


def said(source: str, **changes: Any) -> str:
    return evaluated(source, {**GIVEN, **changes}, limit=1000)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ name }} is {{ phase }}", "train-resnet-x7k2p is FAILED"),
        # Flyte's own
        ("{{ project }} {{ domain }} {{ name }} {{ phase }}", "resnet  train-resnet-x7k2p FAILED"),
        ("{{ workflow.name }}/{{ workflow.project }}", "nightly-training/resnet"),
        ("{{ launch_plan.name }} {{ launch_plan.version }}", "nightly-training "),
        ("{{ error | truncate(10) }}", 'child "tr…'),
        ("{{ labels.team | upper }} {{ labels['example.com/none'] | default('-') }}", "VISION -"),
        ("{% if phase == 'FAILED' %}bad{% elif phase == 'X' %}x{% else %}fine{% endif %}", "bad"),
        ("{% if engine in 'argo-workflow' and not domain %}a{% endif %}", "a"),
        ("{% if phase != 'FAILED' or phase not in 'x' %}a{% endif %}", "a"),
        ("{% for o in options %}[{{ o }}]{% else %}none{% endfor %}", "[notify-team][audit]"),
        ("{% for key in labels %}{{ key }}={{ labels[key] }};{% endfor %}", "team=vision;project=resnet;"),
        ("{{ options | join(' and ') }} {{ options | length }}", "notify-team and audit 2"),
        ("{{ options | first }} {{ options | last }}", "notify-team audit"),
        ("{{ options }} {{ labels }}", "notify-team, audit team, project"),
        ("{{ 'late' if phase == 'TIMED_OUT' else 'not late' }}", "not late"),
        ("{{ ' x ' | trim | title | lower | capitalize }}", "X"),
        ("{# nobody sees this #}{% raw %}{{ phase }}{% endraw %}", "{{ phase }}"),
        ("{{ labels.__class__ }}{{ labels.items }}", ""),
        ("took {{ duration }}", "took 2h 17m 02s"),
    ],
)
def test_a_template_says(source: str, expected: str) -> None:
    assert problem(source) is None
    assert said(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ phase", "line 1: unexpected end of template"),
        ("\n{% if phase %}", "line 2: Unexpected end of template"),
        ("{{ phas }}", "there is no variable phas; there are domain, duration, "),
        ("{{ workflow.nam }}", "there is no workflow.nam; there are workflow.domain, "),
        ("{{ phase.name }}", "only labels, launch_plan, workflow have members"),
        ("{{ ''.__class__.__mro__ }}", "have members"),
        ("{{ workflow.__init__ }}", "there is no workflow.__init__"),
        ("{{ workflow['na' + 'me'] }}", "only a text is possible"),
        ("{{ range(9) }}", "a call is not possible"),
        ("{{ labels.get('a') }}", "a call is not possible"),
        ("{{ 1 + 1 }}", "arithmetic is not possible"),
        ("{{ 'x' * 1000000000 }}", "arithmetic is not possible"),
        ("{{ name ~ phase }}", "~ is not possible"),
        ("{{ [1, 2] }}", "a list is not possible"),
        ("{{ name[1:2] }}", "only a text is possible"),
        ("{{ phase is defined }}", "a test is not possible"),
        ("{{ phase | safe }}", "there is no filter safe; there are capitalize"),
        ("{{ phase | default(name) }}", "must be a text or a number"),
        ("{{ phase | upper(1) }}", "takes at most 0 arguments"),
        ("{{ phase | truncate }}", "needs a number"),
        ("{{ phase | truncate('x') }}", "needs a number"),
        ("{{ phase | join('x') }}", "join is for labels, options"),
        ("{{ options | join(5) }}", "join needs a text"),
        ("{% set a = 1 %}", "set is not possible"),
        ("{% include 'x' %}", "include is not possible"),
        ("{% macro m() %}{% endmacro %}", "macro is not possible"),
        ("{% for a in name %}{% endfor %}", "for goes over one of labels, options"),
        ("{% for a in options %}{% for b in options %}{% endfor %}{% endfor %}", "inside of a for"),
        ("{% for a in options if a %}{% endfor %}", "neither recursive nor if"),
        ("{% for phase in options %}{% endfor %}", "one name of its own"),
        ("{% for a, b in labels %}{% endfor %}", "one name of its own"),
        ("{% for o in options %}{{ loop.index }}{% endfor %}", "have members"),
        ("{{ " + "(" * 1500 + "phase" + ")" * 1500 + " }}", "nested too deeply"),
        ("{{ " + "not " * 1000 + "phase }}", "nested too deeply"),
    ],
)
def test_a_template_that_is_not_possible_says_why(source: str, expected: str) -> None:
    assert expected in (problem(source) or "")
    with pytest.raises(TemplateError):
        said(source)


SNIPPETS = st.sampled_from(
    [
        *("{{ ", " }}", "{% ", " %}", "{#", "#}", "if ", "for o in options", "endif", "endfor", "else", "elif "),
        *VARIABLES,
        *FILTERS,
        *(
            "|",
            ".",
            "['a']",
            "(",
            ")",
            "'x'",
            "9",
            " == ",
            " in ",
            " and ",
            "not ",
            "*",
            "**",
            "~",
            "join('aaaa')",
            "\n",
        ),
    ]
)


@given(st.lists(SNIPPETS, max_size=40).map("".join))
def test_any_template_is_refused_or_says_something_of_bounded_size(source: str) -> None:
    if problem(source) is None:
        with suppress(TemplateError):
            assert len(said(source, message="m" * 2000)) <= 1000


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(source: str) -> None:
    if problem(source) is None:
        with suppress(TemplateError):
            said(source)


def test_no_template_of_the_longest_size_takes_long() -> None:
    inner = "{{ message | upper | title | truncate(1999) }}"
    body = "{% for o in options %}" + inner * ((4096 - 34) // len(inner)) + "{% endfor %}"
    assert problem(body) is None
    began = time.process_time()
    with pytest.raises(TemplateError, match="longer than 6000"):
        evaluated(body, {**GIVEN, "options": ["o"] * 64, "message": "m" * 2000}, limit=6000)
    assert time.process_time() - began < 1


def test_values_are_escaped_and_the_templates_own_words_are_not() -> None:
    text = evaluated("<!here> {{ name }}", {"name": "<!channel>"}, limit=99, escape=lambda v: v.replace("<", "&lt;"))
    assert text == "<!here> &lt;!channel>"
