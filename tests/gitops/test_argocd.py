"""Argo CD's health checks, run by Lua 5.1, which Argo CD's own interpreter implements."""

from __future__ import annotations

from typing import Any

import pytest
from lupa.lua51 import LuaRuntime

from support.gitops import CASES, GENERATION, WRITTEN_BY_PEOPLE, manifest, status

CHECKS: dict[str, str] = manifest("argocd-cm.yaml")["data"]
PREFIX = "resource.customizations.health.execution.dev_"


def health(check: str, obj: dict[str, Any]) -> tuple[str, str]:
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    answer = lua.execute(check)
    return answer.status, answer.message


def test_every_kind_that_people_write_has_one() -> None:
    assert set(CHECKS) == {f"{PREFIX}{kind}" for kind in WRITTEN_BY_PEOPLE}


@pytest.mark.parametrize("kind", sorted(WRITTEN_BY_PEOPLE))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_health_is_what_the_status_says(case: dict[str, Any], kind: str) -> None:
    obj = {"kind": kind, "metadata": {"name": "o", "generation": GENERATION}}
    found = status(case)
    assert health(CHECKS[PREFIX + kind], obj | ({"status": found} if found else {})) == tuple(case["argo"])
