"""Which levels override the author, and which nobody can override."""

from __future__ import annotations

import pytest

from execution_options.options.levels import Level, Source, Sourced, prevails


@pytest.mark.parametrize("level", Level)
def test_options_fill_in_open_values_and_higher_levels_replace_the_authors(level: Level) -> None:
    wanted = Sourced("ours", Source(level, "ExecutionOptions", "o"))
    assert prevails(wanted, None)
    assert prevails(wanted, "") is prevails(wanted, "theirs") is level.overrules_author


def test_the_order_of_levels() -> None:
    assert [level for level in Level if not level.overrules_author] == [
        Level.CLUSTER_DEFAULT,
        Level.NAMESPACE_DEFAULT,
        Level.AUTHOR,
    ]
    assert [level for level in Level if level.is_enforced] == [Level.NAMESPACE_ENFORCE, Level.CLUSTER_ENFORCE]
