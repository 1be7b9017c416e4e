"""Name patterns: * is any text, ? is any character, everything else is literal; and they are fast on any input."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from execution_options.options.selection import matches


def reference_matches(pattern: str, name: str) -> bool:
    """By definition, one character of the pattern at a time: the lengths of ``name`` that it can have consumed."""
    reached = {0}
    for character in pattern:
        if character == "*":
            reached = set(range(min(reached), len(name) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(name) and character in ("?", name[at])}
    return len(name) in reached


@given(st.text(alphabet="ab*?", max_size=10), st.text(alphabet="ab", max_size=12))
@example("*", "")
@example("", "")
@example("a*a", "a")
@example("*ab*ab", "abab")
@example("*a?*b*", "aab")
def test_a_pattern_matches_by_its_definition(pattern: str, name: str) -> None:
    assert matches(pattern, name) == reference_matches(pattern, name)


@given(st.text(max_size=8), st.text(max_size=8))
@example("[ab]", "a")
@example("a.c", "abc")
@example("a\\*", "a\\")
@example("(?>x", "x")
@example("*\n", "a\n")
def test_only_star_and_question_mark_are_special(pattern: str, name: str) -> None:
    assert matches(pattern, name) == reference_matches(pattern, name)
    assert matches("*", name)
    assert matches("?" * len(name), name)


@given(st.text(alphabet="abc", max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_any_part_of_a_name_can_become_a_star(name: str, start: int, end: int) -> None:
    assert matches(name[:start] + "*" + name[max(start, end) :], name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*a" * 126 + "b", "a" * 253),
        ("*a" * 5 + "*b", "a" * 253),
        ("*?a" * 80 + "*b", "a" * 253),
        ("*" * 252 + "b", "a" * 253),
        ("*ab" * 60 + "*c", "ab" * 126),
    ],
)
def test_every_pattern_is_fast(pattern: str, name: str) -> None:
    started = time.perf_counter()
    assert not matches(pattern, name)
    assert time.perf_counter() - started < 0.5
