"""Executions into which options would have the API server write too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.team import RefusedError
from support.workloads import job

if TYPE_CHECKING:
    from support.team import Team

pytestmark = pytest.mark.e2e


def test_more_than_fits_into_a_patch_is_refused_with_the_largest_part(team: Team) -> None:
    team.options("wide", {"selector": {}, "envs": [{"name": f"V{n}", "value": "x" * 20} for n in range(64)]})
    containers = [{"name": f"c{n}", "image": "registry.example.com/a:1"} for n in range(1000)]
    document = job(name="wide")
    document["spec"]["template"]["spec"]["containers"] = containers
    with pytest.raises(RefusedError, match=r"at most 2097152 fit: .* 64 variables in each of 1000 containers"):
        team.create(document)
    document["spec"]["template"]["spec"]["containers"] = containers[:100]
    made = team.create(document)
    assert len(made["spec"]["template"]["spec"]["containers"][99]["env"]) == 64
