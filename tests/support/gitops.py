"""The examples for GitOps tools, and the table of what these are to make of a status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from execution_options.api.kinds import KINDS
from execution_options.api.names import DELIVERY_KIND

EXAMPLES = Path(__file__).parents[2] / "examples" / "gitops"
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / "gitops" / "health.yaml").read_text())
WRITTEN_BY_PEOPLE = set(KINDS) - {DELIVERY_KIND}
GENERATION = 3


def manifest(name: str) -> dict[str, Any]:
    """One of the examples."""
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    return document


def status(case: dict[str, Any], generation: int = GENERATION) -> dict[str, Any]:
    """The status of a case, said of a generation of the object."""
    if not case["status"]:
        return {}
    return {"observedGeneration": generation - int(case.get("behind", False)), **case["status"]}
