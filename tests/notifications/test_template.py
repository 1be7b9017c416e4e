"""Templates insert values and can do nothing else."""

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


def filled(source: str, **changes: Any) -> str:
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
def test_a_template_is_filled(source: str, expected: str) -> None:
    assert problem(source) is None
    assert filled(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ phase", "line 1: unexpected end of template"),
        ("\n{% if phase %}", "line 2: Unexpected end of template"),
        ("{{ phas }}", "there is no variable phas; there are cause, cluster, domain, "),
        ("{{ workflow.nam }}", "there is no workflow.nam; there are workflow.domain, "),
        ("{{ phase.name }}", "only cause, labels, launch_plan, workflow have members"),
        ("{{ ''.__class__.__mro__ }}", "have members"),
        ("{{ workflow.__init__ }}", "there is no workflow.__init__"),
        ("{{ workflow['na' + 'me'] }}", "only a string is allowed"),
        ("{{ range(9) }}", "a call is not allowed"),
        ("{{ labels.get('a') }}", "a call is not allowed"),
        ("{{ 1 + 1 }}", "arithmetic is not allowed"),
        ("{{ 'x' * 1000000000 }}", "arithmetic is not allowed"),
        ("{{ name ~ phase }}", "~ is not allowed"),
        ("{{ [1, 2] }}", "a list is not allowed"),
        ("{{ name[1:2] }}", "only a string is allowed"),
        ("{{ phase is defined }}", "a test is not allowed"),
        ("{{ phase | safe }}", "there is no filter safe; there are capitalize"),
        ("{{ phase | default(name) }}", "must be a string or a number"),
        ("{{ phase | upper(1) }}", "takes at most 0 arguments"),
        ("{{ phase | truncate }}", "needs a number"),
        ("{{ phase | truncate('x') }}", "needs a number"),
        ("{{ phase | join('x') }}", "join is for labels, options"),
        ("{{ options | join(5) }}", "join needs a string"),
        ("{% set a = 1 %}", "set is not allowed"),
        ("{% include 'x' %}", "include is not allowed"),
        ("{% macro m() %}{% endmacro %}", "macro is not allowed"),
        ("{% for a in name %}{% endfor %}", "for goes over one of labels, options"),
        ("{% for a in options %}{% for b in options %}{% endfor %}{% endfor %}", "inside a for"),
        ("{% for a in options if a %}{% endfor %}", "recursive and if are not allowed"),
        ("{% for phase in options %}{% endfor %}", "one name that is not a variable"),
        ("{% for a, b in labels %}{% endfor %}", "one name that is not a variable"),
        ("{% for o in options %}{{ loop.index }}{% endfor %}", "have members"),
        ("{{ " + "(" * 1500 + "phase" + ")" * 1500 + " }}", "nested too deeply"),
        ("{{ " + "not " * 1000 + "phase }}", "nested too deeply"),
    ],
)
def test_an_invalid_template_is_refused_with_a_reason(source: str, expected: str) -> None:
    assert expected in (problem(source) or "")
    with pytest.raises(TemplateError):
        filled(source)


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
def test_any_template_is_refused_or_gives_a_text_of_bounded_size(source: str) -> None:
    if problem(source) is None:
        with suppress(TemplateError):
            assert len(filled(source, message="m" * 2000)) <= 1000


@given(st.text(max_size=200))
def test_any_text_is_a_template_or_is_refused(source: str) -> None:
    if problem(source) is None:
        with suppress(TemplateError):
            filled(source)


def test_a_template_of_the_greatest_length_is_fast() -> None:
    inner = "{{ message | upper | title | truncate(1999) }}"
    body = "{% for o in options %}" + inner * ((4096 - 34) // len(inner)) + "{% endfor %}"
    assert problem(body) is None
    began = time.process_time()
    with pytest.raises(TemplateError, match="longer than 6000"):
        evaluated(body, {**GIVEN, "options": ["o"] * 64, "message": "m" * 2000}, limit=6000)
    assert time.process_time() - began < 1


def test_values_are_escaped_and_the_templates_own_text_is_not() -> None:
    text = evaluated("<!here> {{ name }}", {"name": "<!channel>"}, limit=99, escape=lambda v: v.replace("<", "&lt;"))
    assert text == "<!here> &lt;!channel>"
