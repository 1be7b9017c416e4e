"""Commands that act on what many use: where, on how much, and only once somebody agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GATE
from support.commands import asked, called, of_namespace
from support.team import working
from support.waiting import eventually
from support.workloads import job, pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from execution_options.cluster import Cluster
    from support.commands import Answer
    from support.team import Team

pytestmark = pytest.mark.e2e


def gated(name: str) -> dict[str, Any]:
    return pod(name, schedulingGates=[{"name": "example.com/other"}, {"name": GATE}])


def gates(team: Team, name: str) -> list[str]:
    return [gate["name"] for gate in team.get("Pod", name)["spec"].get("schedulingGates", ())]


@pytest.fixture
def other(control_plane: Cluster, team: Team, api_server: Any) -> Iterator[Team]:
    """Another namespace with a pod that waits."""
    name = f"{team.namespace}-other"
    api_server.post("/api/v1/namespaces", {"metadata": {"name": name}})
    eventually(lambda: api_server.get(f"/api/v1/namespaces/{name}/serviceaccounts")["items"])
    with working(control_plane, name) as other:
        other.create(gated("theirs"))
        yield other
    api_server.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def kubeconfig(team: Team, tmp_path: Path) -> Path:
    """A kubeconfig whose context is in the team's namespace."""
    return of_namespace(team.cluster.kubeconfig, team.namespace, tmp_path)


def test_gates_are_released_in_the_namespace_of_the_context(team: Team, other: Team, kubeconfig: Path) -> None:
    team.create(gated("mine"))
    team.create(pod("neighbour"))
    where = f"namespace {team.namespace}"
    shown = called("release-gates", "--dry-run", kubeconfig=kubeconfig)
    assert shown == (
        0,
        f"pod/mine of {where}\ndry run: would release 1 pod in {where}, whatever limits their executions have\n",
        "",
    )
    unasked = called("release-gates", kubeconfig=kubeconfig)
    assert unasked.code == 2
    assert f"this would release 1 pod in {where}" in unasked.err
    assert "pass --yes, or --dry-run to see it first" in unasked.err
    refused = asked("release-gates", kubeconfig=kubeconfig, answer="n")
    assert refused.code == 1
    assert f"This will release 1 pod in {where}, whatever limits their executions have. Go on? [y/N]" in refused.err
    assert gates(team, "mine") == ["example.com/other", GATE]
    agreed = asked("release-gates", kubeconfig=kubeconfig, answer="y")
    assert (agreed.code, agreed.out) == (0, f"1 pod released in {where}\n")
    assert gates(team, "mine") == ["example.com/other"]
    assert gates(other, "theirs") == ["example.com/other", GATE]
    assert called("release-gates", kubeconfig=kubeconfig).out == f"no pod waits in {where}\n"


def test_gates_of_all_namespaces_are_released_on_demand(team: Team, other: Team, kubeconfig: Path) -> None:
    team.create(gated("mine"))
    both = called("release-gates", "-A", "-n", "x", kubeconfig=kubeconfig)
    assert (both.code, "exclude each other" in both.err) == (2, True)
    shown = called("release-gates", "-A", "--dry-run", kubeconfig=kubeconfig)
    assert f"pod/mine of namespace {team.namespace}\n" in shown.out
    assert f"pod/theirs of namespace {other.namespace}\n" in shown.out
    released = called("release-gates", "--all-namespaces", "--yes", kubeconfig=kubeconfig)
    assert released.out.endswith(" pods released in all namespaces\n")
    assert gates(team, "mine") == gates(other, "theirs") == ["example.com/other"]


def test_who_uninstalls_sees_what_goes_and_is_asked(team: Team, cli: Callable[..., Answer]) -> None:
    team.create(gated("mine"))
    notified = {"phases": ["FAILED"], "email": {"recipients": ["a@example.com"]}}
    team.options("held", {"selector": {}, "notificationGuarantee": "Held", "notifications": [notified]})
    team.create(job("held", spec={"suspend": True}))
    kubeconfig = team.cluster.kubeconfig
    lines = called("uninstall", "--dry-run", kubeconfig=kubeconfig).out.splitlines()
    assert {
        "mutatingwebhookconfigurations/00-execution-options",
        "validatingwebhookconfigurations/00-execution-options",
        "mutatingwebhookconfigurations/00-execution-options-engines",
        f"jobs/held of namespace {team.namespace}",
        f"pods/mine of namespace {team.namespace}",
    } <= set(lines)
    assert lines[-1].startswith("dry run: would remove 3 webhook configurations of https://")
    unasked = called("uninstall", kubeconfig=kubeconfig)
    assert (unasked.code, "pass --yes, or --dry-run" in unasked.err) == (2, True)
    refused = asked("uninstall", kubeconfig=kubeconfig, answer="n")
    assert refused.code == 1
    assert "nothing gets options any more" in refused.err
    notify = called("notify", "release", "--all", kubeconfig=kubeconfig)
    assert (notify.code, "whose notifications may be lost, and nobody can be asked" in notify.err) == (2, True)
    dry = called("notify", "release", "--all", "--dry-run", kubeconfig=kubeconfig).out
    assert f"jobs/held of namespace {team.namespace}\n" in dry
    # Nothing of it was done.
    assert gates(team, "mine") == ["example.com/other", GATE]
    held = team.get("Job", "held")["metadata"]
    assert held["finalizers"] == ["execution.dev/notifications"]
    assert team.create(job("still"), dry_run=True)["metadata"]["labels"]["execution.dev/id"]
