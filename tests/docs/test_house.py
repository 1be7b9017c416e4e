"""The picture of the house shows the import contracts, and what a change passes on its way is there."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator/execution_options"
TRAVELS = ROOT / "docs/how-a-change-travels.md"


def rows(contract: dict[str, object]) -> list[list[str]]:
    """The layers of a contract from the top, each with its modules, by their last names."""
    layers = contract["layers"]
    assert isinstance(layers, list)
    return [[name.rpartition(".")[2] for name in re.split(r"\s*[|:]\s*", layer)] for layer in layers]


def house() -> str:
    """The picture, as the contracts have it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    outer, wings = (rows(one) for one in contracts if one["type"] == "layers")
    lines = ["flowchart TD"]
    for prefix, layers in (("", outer), ("controller/", wings)):
        ids = [[(prefix + name).replace("/", "_") for name in layer] for layer in layers]
        for layer, names in zip(layers, ids, strict=True):
            lines += [f'  {one}["{prefix}{name}"]' for one, name in zip(names, layer, strict=True)]
        lines += [f"  {' & '.join(above)} --> {' & '.join(below)}" for above, below in itertools.pairwise(ids)]
    return "\n".join(lines)


def test_the_picture_shows_the_import_contracts() -> None:
    (shown,) = re.findall(r"^```mermaid\n(.*?)\n```", (ROOT / "docs/design.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown == house()


LINK = re.compile(r"\[`([\w.]+)`\]\(\.\./operator/execution_options/([\w/]+\.py)\)")
"""A step: its function, and the file."""


def functions(file: Path) -> set[str]:
    """Names of the functions of a module, and of the methods of its classes."""
    found = set()
    for one in ast.parse(file.read_text()).body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(one.name)
        elif isinstance(one, ast.ClassDef):
            found |= {f"{one.name}.{m.name}" for m in one.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)}
    return found


def test_each_journey_has_its_steps() -> None:
    journeys = TRAVELS.read_text().split("\n## ")[1:]
    assert len(journeys) == 4
    assert all(journey.count("](../operator/") >= 5 for journey in journeys)


@pytest.mark.parametrize(("function", "file"), LINK.findall(TRAVELS.read_text()))
def test_a_step_is_where_the_page_says(function: str, file: str) -> None:
    assert function in functions(PACKAGE / file)
