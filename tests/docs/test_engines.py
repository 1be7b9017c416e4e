"""What docs/engines.md shows is true."""

from __future__ import annotations

import re
from pathlib import Path

from execution_options.engines.phases import TERMINAL
from execution_options.engines.profile import builtin, parse

PAGE = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()


def test_the_engine_that_it_shows_is_one() -> None:
    (document,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    engine = parse(document.encode())
    done = {"status": {"conditions": [{"type": "Done", "status": "True"}], "endTime": "t"}}
    outcome = engine.status.outcome(done)
    assert (outcome.phase, outcome.finished_at) == ("SUCCEEDED", "t")
    assert outcome.phase in TERMINAL


def test_it_names_every_engine() -> None:
    assert [engine.name for engine in builtin() if f"`{engine.name}`" not in PAGE] == []
