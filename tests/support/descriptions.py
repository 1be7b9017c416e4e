"""Descriptions of engines for tests: a right one, and the table of wrong ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from execution_options.api.names import ENGINE_KIND
from support.manifests import Case

_TABLE = Path(__file__).parent.parent / "engines" / "refused.yaml"


def spec(**changes: Any) -> dict[str, Any]:
    """A description of ``Backup`` objects; a change to ``None`` takes the field away."""
    right = {
        "group": "example.com",
        "version": "v1",
        "kind": "Backup",
        "plural": "backups",
        "status": {"phases": [{"phase": "SUCCEEDED", "when": [{"path": "status.done"}]}]},
    }
    return {name: value for name, value in {**right, **changes}.items() if value is not None}


@cache
def refused() -> tuple[Case, ...]:
    """Descriptions that must be refused."""
    rows = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return tuple(Case(**{"name": "backup", **row, "spec": spec(**row["spec"])}, kind=ENGINE_KIND) for row in rows)
