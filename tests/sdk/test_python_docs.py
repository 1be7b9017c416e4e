"""Every example of docs/python.md runs, and prints what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.flyte import needs_flytekit

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
CHAPTERS = [
    (title, examples)
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    if (
        examples := re.findall(
            r"^```python\n(.*?)^```(?:\n\n```(?:text|yaml)\n(.*?)^```)?", text, re.DOTALL | re.MULTILINE
        )
    )
]


def test_every_block_of_python_is_an_example() -> None:
    assert sum(len(examples) for _, examples in CHAPTERS) == PAGE.read_text().count("```python")


@pytest.mark.filterwarnings("ignore")  # of flytekit's dependencies, in the chapter that imports it
@pytest.mark.parametrize(
    ("example", "printed"),
    [
        pytest.param(
            example, printed, id=f"{title} {number}", marks=[needs_flytekit] if "from flytekit " in example else []
        )
        for title, examples in CHAPTERS
        for number, (example, printed) in enumerate(examples, 1)
        if "launch(" not in example  # it needs a cluster: tests/launching/e2e
    ],
)
def test_an_example_prints_what_the_page_says(example: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(example, PAGE.name, "exec"), {})
    assert capsys.readouterr().out.strip() == printed.strip()
