"""No more pods of an execution run at once than its options allow, and all get their turn."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import execution_options
from support.team import Team, options_manifest
from support.waiting import eventually
from support.workloads import pod

from .conftest import DURATION, member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator
    from support.concurrency import Concurrency

pytestmark = [pytest.mark.e2e, pytest.mark.long]
GATE = "execution.dev/max-parallelism"
WAITING = "execution.dev/waiting"
CLIENTS = 8


def gates(team: Team, name: str) -> list[str]:
    return [gate["name"] for gate in team.get("Pod", name)["spec"].get("schedulingGates", ())]


def events(team: Team, reason: str) -> str:
    return team.kubectl("get", "events", "--field-selector", f"reason={reason}")


def create_all(team: Team, pods: Iterable[dict[str, Any]]) -> None:
    """Create pods, some at the same time."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        for made in clients.map(team.create, pods):
            assert {"name": GATE} in made["spec"]["schedulingGates"]


def report(runs: Concurrency, caps: dict[str, int], began: float) -> None:
    """Print the results, for those who run the tests at full size."""
    seconds = time.monotonic() - began
    overshoots = sum(map(len, runs.over(caps).values()))
    reached = sum(runs.most[name] == min(cap, runs.ended[name]) for name, cap in caps.items())
    print(
        f"\n{runs.done} pods of {len(caps)} executions in {seconds:.0f} s ({runs.done / seconds:.1f}/s, load average "
        f"{os.getloadavg()[0]:.1f}); {sum(map(len, runs.steps.values()))} changes seen, {overshoots} over the limit; "
        f"{reached} of {len(caps)} executions reached theirs; most at once, by limit: "
        f"{sorted({(cap, runs.most[name]) for name, cap in caps.items()})}"
    )


@pytest.mark.timeout(1800)
def test_the_pods_of_a_group_wait_for_each_other(
    team: Team, counting: Callable[..., Concurrency], full_size: bool
) -> None:
    pods, cap = (500, 7) if full_size else (24, 4)
    team.options("o", {"maxParallelism": cap})
    began = time.monotonic()
    with counting() as runs:
        create_all(team, (member(f"p-{number:03}", "g", options="o") for number in range(pods)))
        eventually(lambda: runs.done == pods, timeout=1200)
    report(runs, {"g": cap}, began)
    assert runs.most == {"g": cap}


@pytest.mark.timeout(1800)
def test_many_executions_with_caps_of_their_own_are_served_in_turn(
    team: Team, operator: LocalOperator, tolerated: list[str], counting: Callable[..., Concurrency], full_size: bool
) -> None:
    executions, pods, caps = (100, 50, 20) if full_size else (5, 8, 5)
    groups = {f"g{number}": number % caps + 1 for number in range(executions)}
    for cap in range(1, caps + 1):
        team.options(f"cap-{cap}", {"maxParallelism": cap})
    if full_size:
        # A busy API server may need longer for a list than an admission waits.
        tolerated.append("answered from memory: timed out")
    # All pods wait before the first one is released, and the first ones run until every execution is at its limit.
    first = "30s" if full_size else "2s"
    operator.kill("controller", signal.SIGTERM)
    try:
        create_all(
            team,
            (
                member(f"{group}-{number}", group, first if number < cap else "0.5s", options=f"cap-{cap}")
                for number in range(pods)
                for group, cap in groups.items()
            ),
        )
    finally:
        began = time.monotonic()
        operator.start("controller")
    with counting() as runs:
        eventually(lambda: runs.done == executions * pods, timeout=1500)
    report(runs, groups, began)
    assert runs.most == groups
    assert runs.over(groups) == {}


def test_tasks_of_airflow_wait_within_their_dag_run(team: Team, counting: Callable[..., Concurrency]) -> None:
    team.options("o", {"maxParallelism": 2})

    def dag_run(found: dict[str, Any]) -> str | None:
        run: str | None = found["metadata"]["labels"].get("run_id")
        return run

    with counting(dag_run) as runs:
        for number in range(8):
            for run in ("monday", "tuesday"):
                labels = {"dag_id": "etl", "run_id": run, "task_id": f"t{number}", "airflow-worker": "1"}
                team.create(pod(f"{run}-{number}", labels=labels, annotations={DURATION: "0.2s"}, options="o"))
        eventually(lambda: runs.done == 16, timeout=60)
    assert runs.most == {"monday": 2, "tuesday": 2}


def test_a_pod_that_an_airflow_task_waits_for_does_not_wait_for_the_task(
    team: Team, counting: Callable[..., Concurrency]
) -> None:
    team.options("o", {"maxParallelism": 1})
    run = {"dag_id": "etl", "run_id": "monday"}

    def task(found: dict[str, Any]) -> str | None:
        name: str | None = found["metadata"]["labels"].get("task_id")
        return name

    with counting(task) as runs:
        for name in ("extract", "load"):
            worker = {**run, "task_id": f"{name}-worker", "airflow-worker": "1", "kubernetes_executor": "True"}
            team.create(pod(f"{name}-worker", labels=worker, annotations={DURATION: "1h"}, options="o"))
        eventually(lambda: runs.now.get("extract-worker") == 1)
        # The worker, which has the only slot, ends when this pod has ended.
        made = {**run, "task_id": "extract", "kubernetes_pod_operator": "True"}
        team.create(pod("extract", labels=made, annotations={DURATION: "0.2s"}, options="o"))
        eventually(lambda: runs.ended["extract"] == 1)
        assert {"name": GATE} in team.get("Pod", "load-worker")["spec"]["schedulingGates"]
        team.request("DELETE", team.path("Pod", "extract-worker") + "?gracePeriodSeconds=0")
        eventually(lambda: runs.now.get("load-worker") == 1)


def test_an_edit_applies_at_once_up_and_down(team: Team, counting: Callable[..., Concurrency]) -> None:
    team.options("o", {"maxParallelism": 2})
    with counting() as runs:
        for number in range(8):
            team.create(member(f"p-{number}", "g", "1h", options="o"))
        eventually(lambda: runs.now == {"g": 2})
        team.merge("ExecutionOptions", "o", {"spec": {"maxParallelism": 5}})
        eventually(lambda: runs.now == {"g": 5})
        team.merge("ExecutionOptions", "o", {"spec": {"maxParallelism": 1}})
        eventually(lambda: team.get("ExecutionOptions", "o")["status"]["observedGeneration"] == 3)
        for name in runs.order[:4]:
            team.request("DELETE", team.path("Pod", name))
        eventually(lambda: runs.now == {"g": 1})
        team.request("DELETE", team.path("Pod", runs.order[4]))
        eventually(lambda: len(runs.order) == 6)
        assert runs.most == {"g": 5}
        team.merge("ExecutionOptions", "o", {"spec": {"maxParallelism": 0}})
        eventually(lambda: runs.now == {"g": 3})


def test_a_first_limit_by_an_edit_applies_to_later_executions_and_kubectl_warns(
    team: Team, control_plane: Cluster, counting: Callable[..., Concurrency]
) -> None:
    team.options("o", {"labels": {"a": "1"}})
    with counting() as runs:
        for number in range(4):
            assert "schedulingGates" not in team.create(member(f"early-{number}", "g", "1h", options="o"))["spec"]
        eventually(lambda: runs.now == {"g": 4})
        eventually(lambda: team.get("ExecutionOptions", "o")["status"].get("executions", {}).get("active") == 4)
        edited = options_manifest("o", {"labels": {"a": "1"}, "maxParallelism": 2})
        warned = team.kubectl("apply", "-f", "-", manifests=[edited])
        assert "executions that were created without a limit keep none, and 4 executions are active" in warned
        for number in range(4):
            late = team.create(member(f"late-{number}", "g", "1h", options="o"))
            assert {"name": GATE} in late["spec"]["schedulingGates"]
        # The early ones take no slots.
        eventually(lambda: runs.now == {"g": 6})
        eventually(lambda: team.get("ExecutionOptions", "o")["status"].get("pods") == {"running": 2, "waiting": 2})
        assert GATE not in team.get("Pod", "early-0")["metadata"]["labels"]
        for name, note in (("early-0", True), ("late-0", False)):
            arguments = ("explain", f"pod/{name}", "-n", team.namespace)
            answer = execution_options(*arguments, kubeconfig=control_plane.kubeconfig)
            keeps = "note: maxParallelism: an edit reaches later executions only, this one keeps no limit"
            assert (keeps in answer.out) is note, answer
        edited["spec"]["maxParallelism"] = 3
        assert "Warning" not in team.kubectl("apply", "-f", "-", manifests=[edited])
        eventually(lambda: runs.now == {"g": 7})
        team.merge("ExecutionOptions", "o", {"spec": {"maxParallelism": None}})
        eventually(lambda: runs.now == {"g": 8})


def test_without_a_cap_no_pod_waits(team: Team) -> None:
    for name, spec in (("uncapped", {"labels": {"a": "1"}}), ("zero", {"maxParallelism": 0})):
        team.options(name, spec)
        assert "schedulingGates" not in team.create(member(name, "g", options=name))["spec"]


def test_inline_options_limit_their_executions(team: Team, counting: Callable[..., Concurrency]) -> None:
    with counting() as runs:
        for number in range(6):
            one = member(f"p-{number}", "g")
            one["metadata"]["annotations"]["execution.dev/inline"] = "maxParallelism: 2"
            assert {"name": GATE} in team.create(one)["spec"]["schedulingGates"]
        eventually(lambda: runs.done == 6)
    assert runs.most == {"g": 2}


def test_deleted_options_leave_no_pod_waiting(team: Team, counting: Callable[..., Concurrency]) -> None:
    team.options("o", {"maxParallelism": 1})
    with counting() as runs:
        for number in range(4):
            team.create(member(f"p-{number}", "g", "1h", options="o"))
        eventually(lambda: runs.now == {"g": 1})
        team.request("DELETE", team.path("ExecutionOptions", "o"))
        eventually(lambda: runs.now == {"g": 4})


def test_a_release_waits_for_gates_of_others_and_other_pods_go_first(team: Team) -> None:
    team.options("o", {"maxParallelism": 1})
    other = {"name": "example.com/other"}
    team.create(member("held", "g", "1h", options="o", schedulingGates=[other]))
    team.create(member("next", "g", "1h", options="o"))
    eventually(lambda: gates(team, "next") == [])
    assert gates(team, "held") == ["example.com/other", GATE]
    team.request("DELETE", team.path("Pod", "next"))
    patch = [{"op": "remove", "path": "/spec/schedulingGates/0"}]
    team.request("PATCH", team.path("Pod", "held"), patch, "application/json-patch+json")
    eventually(lambda: gates(team, "held") == [])


def test_pods_and_events_say_what_pods_wait_for(team: Team) -> None:
    team.options("o", {"maxParallelism": 1})
    team.create(member("first", "g", "1h", options="o", nodeSelector={"nobody": "has-this"}))
    eventually(lambda: gates(team, "first") == [])
    for name in ("second", "third"):
        team.create(member(name, "g", "1h", options="o"))
    blocked = "1 of 1 in use, {} in line; the scheduler finds no place for first"
    for name, place in (("second", "1st"), ("third", "2nd")):
        eventually(
            lambda name=name, place=place: (
                team.get("Pod", name)["metadata"]["annotations"].get(WAITING)
                == f"waiting for a parallelism slot: {blocked.format(place)}"
            )
        )
    eventually(lambda: "2 pods wait for a parallelism slot: 1 of 1 in use" in events(team, "WaitingForSlot"))
    eventually(lambda: team.get("ExecutionOptions", "o")["status"].get("pods") == {"running": 1, "waiting": 2})
    team.request("DELETE", team.path("Pod", "first"))
    eventually(lambda: gates(team, "second") == [])
    assert WAITING not in team.get("Pod", "second")["metadata"]["annotations"]


def test_pods_that_did_not_wait_take_slots_and_are_reported(team: Team) -> None:
    team.options("o", {"maxParallelism": 1})
    node = json.loads(team.kubectl("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
    for name in ("placed", "placed-too"):
        # The API server refuses a gate on a pod with a node.
        assert "schedulingGates" not in team.create(member(name, "g", "1h", options="o", nodeName=node))["spec"]
    team.create(member("waits", "g", "1h", options="o"))
    eventually(lambda: "2 of 1 in use" in team.get("Pod", "waits")["metadata"]["annotations"].get(WAITING, ""))
    over = "2 of 1 in use: created past the webhook or on a node, these did not wait: placed, placed-too"
    eventually(lambda: over in events(team, "OverParallelism"))
    for name in ("placed", "placed-too"):
        team.request("DELETE", team.path("Pod", name) + "?gracePeriodSeconds=0")
    eventually(lambda: gates(team, "waits") == [])


def test_in_an_emergency_all_are_released(team: Team, control_plane: Cluster) -> None:
    team.options("o", {"maxParallelism": 1})
    for number in range(4):
        team.create(member(f"p-{number}", "g", "1h", options="o"))
    eventually(lambda: gates(team, "p-0") == [])
    answer = execution_options("release-gates", "-n", team.namespace, "--yes", kubeconfig=control_plane.kubeconfig)
    assert (answer.code, answer.out) == (0, f"3 pods released in namespace {team.namespace}\n"), answer
    assert [gates(team, f"p-{number}") for number in range(4)] == [[]] * 4
