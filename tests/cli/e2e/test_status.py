"""``status``: the whole operator on one screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.local import LocalOperator
from support.commands import called
from support.team import working
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.commands import Answer
    from support.team import Team

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    with LocalOperator(control_plane.kubeconfig, control_plane.context) as running:
        yield running


@pytest.fixture
def team(control_plane: Cluster, namespace: str, operator: LocalOperator) -> Iterator[Team]:
    with working(control_plane, namespace) as team:
        yield team


def status(cluster: Cluster, *arguments: str) -> Answer:
    return called("status", *arguments, kubeconfig=cluster.kubeconfig)


def checks(cluster: Cluster) -> dict[str, dict[str, Any]]:
    return {one["what"]: one for one in json.loads(status(cluster, "-o", "json").out)}


def test_a_webhook_that_is_not_asked_is_wrong(control_plane: Cluster) -> None:
    """The operators of tests in other modules have ended, and that of this one has not begun."""
    found = checks(control_plane)
    assert found["webhook"]["problems"]
    assert found["controller"]["problems"]


def test_a_healthy_operator_is_seen_to_be_so(team: Team) -> None:
    found = checks(team.cluster)
    assert found["controller"]["text"].endswith("is active")
    assert found["webhook"]["text"] == "the API server asks it (seen by a dry run)"
    assert found["controller"]["problems"] == found["webhook"]["problems"] == []
    lines = status(team.cluster).out.splitlines()
    assert lines[0].split() == ["WHAT", "STATE", "DETAILS"]
    assert [line.split()[:2] for line in lines[1:4]] == [["cluster", "ok"], ["controller", "ok"], ["webhook", "ok"]]


def test_what_has_a_problem_is_named_and_makes_the_exit_code_1(team: Team) -> None:
    ref = {"name": "none-such", "key": "url"}
    channel = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "NotificationChannel",
        "metadata": {"name": "hook"},
        "spec": {"webhook": {"urlSecretRef": ref}},
    }
    team.kubectl("apply", "-f", "-", manifests=[channel])

    def problems() -> list[str]:
        return [one for one in checks(team.cluster)["channels"]["problems"] if one.startswith(f"{team.namespace}/hook")]

    (problem,) = eventually(problems)
    assert "none-such" in problem
    answer = status(team.cluster)
    assert answer.code == 1
    assert f"\nchannels: {problem}" in answer.out
