"""Executions whose annotations leave no room for options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.annotations import MAX_ANNOTATIONS
from execution_options.api.names import ID_LABEL, SNAPSHOT_ANNOTATION
from support.team import RefusedError
from support.workloads import job, pod

if TYPE_CHECKING:
    from support.team import Team

pytestmark = pytest.mark.e2e

SPEC: dict[str, Any] = {"labels": {"a": "1"}, "annotations": {"note": "options"}}
LARGE = "example.com/spec"


def large(left: int, make: Any = job, **more: Any) -> dict[str, Any]:
    """An execution that leaves so many bytes of annotations."""
    document: dict[str, Any] = make(**more)
    there = sum(len(k) + len(v) for k, v in document["metadata"].get("annotations", {}).items())
    text = "x" * (MAX_ANNOTATIONS - left - there - len(LARGE))
    document["metadata"].setdefault("annotations", {})[LARGE] = text
    return document


def test_defaults_are_left_out_where_they_do_not_fit_and_that_is_said(team: Team) -> None:
    team.options("low", {"selector": {}, **SPEC})
    for left in (0, 10, 100):
        made = team.create(large(left, name=f"full-{left}"))
        assert ID_LABEL not in made["metadata"].get("labels", {})
        assert SNAPSHOT_ANNOTATION not in made["metadata"]["annotations"]
        (warning,) = team.warnings
        assert "it gets no options: annotations of metadata have" in warning
        assert f"Kubernetes takes at most {MAX_ANNOTATIONS}" in warning
    made = team.create(large(1000, name="fits"))
    assert made["metadata"]["labels"]["a"] == "1"
    assert team.warnings == []


def test_annotations_of_a_pod_template_count_too(team: Team) -> None:
    team.options("low", {"selector": {}, **SPEC})
    full = large(10)["metadata"]["annotations"]
    made = team.create(job(template={"annotations": full}))
    assert ID_LABEL not in made["metadata"].get("labels", {})
    assert "annotations of spec.template.metadata have" in team.warnings[0]


@pytest.mark.parametrize("make", [job, pod])
def test_options_that_were_asked_for_are_not_left_out(team: Team, make: Any) -> None:
    team.options("own", SPEC)
    with pytest.raises(RefusedError, match="it must not be without ExecutionOptions own"):
        team.create(large(100, make, options="own"))
    assert team.create(large(1000, make, options="own"))["metadata"]["labels"]["a"] == "1"


def test_enforced_options_are_not_left_out(team: Team) -> None:
    team.cluster_options("law", {"selector": {}, "mode": "Enforce", **SPEC})
    with pytest.raises(RefusedError, match="it must not be without ClusterExecutionOptions"):
        team.create(large(100))
