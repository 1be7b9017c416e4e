"""A problem is one line for people: where, which value, what is wrong."""

from __future__ import annotations

import pytest

from execution_options.api.names import OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError, Problem, shown
from execution_options.api.validation import problems


def test_a_problem_names_the_value_that_is_wrong() -> None:
    (problem,) = problems({"selector": {"engines": ["Job"]}}, OPTIONS_KIND)
    assert str(problem).startswith('spec.selector.engines[0]: "Job": is not an engine')


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem("spec.mode", "is required"), "spec.mode: is required"),
        (Problem("spec.maxParallelism", "cannot be negative", -1), "spec.maxParallelism: -1: cannot be negative"),
        (Problem("", "is too large"), "is too large"),
    ],
)
def test_a_problem_is_one_line(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_an_error_lists_all_problems() -> None:
    assert str(InvalidOptionsError([Problem("a", "b"), Problem("c", "d")])) == "a: b; c: d"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ({}, "a map"),
        ((), "a list"),
        (7, "7"),
        (2**63, "a very large number"),
        (0.5, "0.5"),
        ("é" * 61, '"' + "é" * 60 + '…"'),
        (b"", "bytes"),
    ],
)
def test_a_value_is_shown_in_a_few_characters(value: object, text: str) -> None:
    assert shown(value) == text
