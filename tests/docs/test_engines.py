"""What docs/engines.md shows is true."""

from __future__ import annotations

import re
from pathlib import Path

from execution_options.engines.phases import TERMINAL
from execution_options.engines.profile import builtin, parse

PAGE = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()


EXAMPLE = Path(__file__).parents[2] / "examples" / "engine"


def test_it_shows_the_example_that_is_tried() -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown == [(EXAMPLE / name).read_text() for name in ("engine.yaml", "rights.yaml")]


def test_the_engine_that_it_shows_is_one() -> None:
    engine = parse((EXAMPLE / "engine.yaml").read_bytes())
    done = {"status": {"conditions": [{"type": "Done", "status": "True"}], "endTime": "t"}}
    outcome = engine.status.outcome(done)
    assert (outcome.phase, outcome.finished_at) == ("SUCCEEDED", "t")
    assert outcome.phase in TERMINAL


def test_it_explains_every_reason() -> None:
    sources = Path(__file__).parents[2] / "operator" / "execution_options"
    files = ("controller/engines/reconciler.py", "status/enginestatus.py", "engines/resolution.py")
    code = "".join((sources / file).read_text() for file in files)
    reasons = {*re.findall(r'Aspect\("Ready", "\w+", "(\w+)"', code), *re.findall(r'Rejection\(\s*"(\w+)"', code)}
    assert len(reasons) > 7
    assert [reason for reason in reasons if f"`{reason}`" not in PAGE] == []


def test_it_names_every_engine() -> None:
    assert [engine.name for engine in builtin() if f"`{engine.name}`" not in PAGE] == []
