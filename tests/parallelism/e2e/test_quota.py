"""Waiting pods use up a ResourceQuota, but leave a part of it to others."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from support.waiting import eventually

from .conftest import Manifest, member, run, start

if TYPE_CHECKING:
    from execution_options.local import LocalOperator
    from support.team import Team

pytestmark = pytest.mark.e2e


def used(team: Team) -> str:
    return team.kubectl("get", "resourcequota", "quota", "-o", "jsonpath={.status.used.pods}")


def backlog(team: Team) -> Manifest:
    """The quota backlog. The controller writes it for the first time when pods wait."""
    get = ["get", "configmap", "execution-options-waiting", "--namespace=execution-options-system", "-o", "json"]
    found: Manifest = json.loads(team.cluster.run_kubectl(get, check=False).stdout or "{}")
    return found


def is_named(team: Team, execution: Manifest) -> bool:
    return execution["metadata"]["labels"]["execution.dev/id"] in backlog(team).get("data", {}).get(team.namespace, "")


def refused(team: Team, execution: Manifest, name: str, **spec: Any) -> str:
    """Why a pod of an execution is refused. A pod that is not is deleted, so that the next attempt can use its name."""
    output = start(team, execution, name, **spec)
    if "created" not in output:
        return output
    team.request("DELETE", team.path("Pod", name) + "?gracePeriodSeconds=0")
    return ""


def state(team: Team, name: str) -> str:
    return "waits" if team.get("Pod", name)["spec"].get("schedulingGates") else "runs"


@pytest.mark.usefixtures("runs")
def test_waiting_pods_leave_a_part_of_the_quota_to_others(team: Team) -> None:
    team.kubectl("create", "quota", "quota", "--hard=pods=8")
    eventually(lambda: used(team) == "0")
    team.options("o", {"maxParallelism": 2})
    large, small = run(team, "large"), run(team, "small")
    for number in range(3):
        assert "created" in start(team, large, f"large-{number}")
    eventually(lambda: [state(team, f"large-{number}") for number in range(3)] == ["runs", "runs", "waits"])
    eventually(lambda: is_named(team, large))
    for number in range(3, 6):
        assert "created" in start(team, large, f"large-{number}")
    # Three quarters are used: pods that would only wait are refused like those that exceed a quota.
    refusal = eventually(lambda: refused(team, large, "large-6"))
    assert "Forbidden" in refusal
    assert (
        "exceeded quota: quota, used: pods 6 of 8: pods of this execution already wait for a parallelism slot"
        in refusal
    )
    eventually(lambda: "no more" in refusal and "which is nearly used: pods 6 of 8" in events(team))
    # Executions with free slots are admitted, and so are pods of no execution.
    assert "created" in start(team, small, "small-0")
    eventually(lambda: state(team, "small-0") == "runs")
    team.create(member("bare", "", "1h"))
    for number in range(4):
        team.request("DELETE", team.path("Pod", f"large-{number}") + "?gracePeriodSeconds=0")
    eventually(lambda: [state(team, f"large-{number}") for number in (4, 5)] == ["runs"] * 2)
    eventually(lambda: "created" in start(team, large, "large-6"))


def events(team: Team) -> str:
    return team.kubectl("get", "events", "--field-selector=reason=QuotaNearlyUsed")


def test_bare_pods_are_not_refused_but_reported(team: Team) -> None:
    team.kubectl("create", "quota", "quota", "--hard=pods=4")
    eventually(lambda: used(team) == "0")
    team.options("o", {"maxParallelism": 1})
    for number in range(4):
        team.create(member(f"p-{number}", "g", "1h", options="o"))
    eventually(lambda: "count against ResourceQuota quota, which is nearly used: pods 4 of 4" in events(team))


GPU = "nvidia.com/gpu"


def asking(gpus: int) -> list[Manifest]:
    amount = {GPU: str(gpus)}
    return [{"name": "main", "image": "none", "resources": {"requests": amount, "limits": amount}}]


@pytest.mark.usefixtures("runs")
def test_pods_that_request_nothing_of_the_nearly_used_resource_are_not_refused(team: Team) -> None:
    team.kubectl("create", "quota", "quota", f"--hard=pods=100,requests.{GPU}=4,requests.example.com/forbidden=0")
    eventually(lambda: used(team) == "0")
    team.options("o", {"maxParallelism": 1})
    large = run(team, "large")
    assert "created" in start(team, large, "large-0", containers=asking(3))
    assert "created" in start(team, large, "large-1")
    eventually(lambda: is_named(team, large))
    refusal = eventually(
        lambda: (answer := start(team, large, "gpu", containers=asking(1))) and "created" not in answer and answer
    )
    assert f"exceeded quota: quota, used: requests.{GPU} 3 of 4: pods of this execution already wait" in refusal
    assert "created" in start(team, large, "large-2")


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("runs")
def test_an_old_backlog_of_a_controller_that_is_gone_refuses_no_pod(team: Team, operator: LocalOperator) -> None:
    team.kubectl("create", "quota", "quota", "--hard=pods=4")
    eventually(lambda: used(team) == "0")
    team.options("o", {"maxParallelism": 1})
    large = run(team, "large")
    for number in range(3):
        assert "created" in start(team, large, f"large-{number}")
    eventually(lambda: is_named(team, large))

    def renewed() -> str:
        renewed: str = backlog(team)["metadata"]["annotations"]["execution.dev/renewed"]
        return renewed

    first = renewed()
    eventually(lambda: renewed() != first, timeout=30)
    operator.kill("controller", signal.SIGTERM)
    try:
        assert "no more may wait while" in start(team, large, "large-3")
        eventually(lambda: "created" in start(team, large, "large-3"), timeout=60)
        assert is_named(team, large)
    finally:
        operator.start("controller")
        operator.wait_ready("controller")
