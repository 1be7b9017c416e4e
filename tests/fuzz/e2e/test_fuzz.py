"""Whatever is written to the API server, the operator serves everybody else, and enforces what it must."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from support.fuzz.playground import Playground, shown, told
from support.fuzz.stories import stories

if TYPE_CHECKING:
    from support.fuzz.stories import Story
    from support.fuzz.values import Schemas

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(0)]

FEW = 30
"""Stories of continuous integration, the same each time: some two minutes."""
_UNHURRIED = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False)


def played(playground: Playground, story: Story) -> None:
    """Play a story, and show it where something does not hold."""
    try:
        playground.play(story)
    except Exception as error:
        # At once: to make it smaller takes a while.
        print(f"{error}\nTo play it again: make fuzz PYTEST='--story FILE', with a file of\n{shown(story)}", flush=True)
        raise


def test_the_operator_bears_what_anybody_may_write(
    schemas: Schemas, playground: Playground, pytestconfig: pytest.Config
) -> None:
    file, minutes, number = (pytestconfig.getoption(name) for name in ("story", "fuzz_minutes", "fuzz_seed"))
    if file is not None:
        playground.play(told(Path(file).read_text()))
        return
    until = time.monotonic() + 60 * minutes

    def plays(story: Story) -> None:
        played(playground, story)

    if not minutes:
        rounds = settings(_UNHURRIED, max_examples=FEW, derandomize=True, phases=[Phase.generate])
        rounds(given(stories(schemas))(plays))()
    while time.monotonic() < until:
        print(f"seed {number}; {playground.summary()}", flush=True)
        rounds = settings(_UNHURRIED, max_examples=FEW, phases=[Phase.generate, Phase.shrink])
        seed(number)(rounds(given(stories(schemas))(plays)))()
        number += 1
    print(playground.summary(), flush=True)
