"""Pods that Kueue holds are left to Kueue; pods that merely have its label wait like any other."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.standins import PODS, peers
from support.waiting import eventually

from .conftest import member, run, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.local import LocalOperator
    from support.concurrency import Concurrency
    from support.team import Manifest, Team

pytestmark = pytest.mark.e2e
GATE = "execution.dev/max-parallelism"
KUEUES = "kueue.x-k8s.io/admission"
QUEUED = {"kueue.x-k8s.io/queue-name": "q"}


def gates(team: Team, name: str) -> list[str]:
    return [gate["name"] for gate in team.get("Pod", name)["spec"].get("schedulingGates", ())]


def label(team: Team, name: str) -> str:
    found: str = team.get("Pod", name)["metadata"]["labels"][GATE]
    return found


def as_kueue_does(pod: Manifest) -> list[Manifest]:
    """The changes of a pod by Kueue's webhook: https://kueue.sigs.k8s.io/docs/tasks/run/plain_pods/."""
    if not QUEUED.keys() <= pod["metadata"].get("labels", {}).keys():
        return []
    gate = {"name": KUEUES}
    has_gates = "schedulingGates" in pod["spec"]
    return [
        {"op": "add", "path": "/metadata/labels/kueue.x-k8s.io~1managed", "value": "true"},
        {
            "op": "add",
            "path": "/spec/schedulingGates" + ("/-" if has_gates else ""),
            "value": gate if has_gates else [gate],
        },
    ]


@contextmanager
def kueue(team: Team) -> Iterator[None]:
    """Kueue's webhook under its real name, so that it runs after ours."""
    with peers(team, ("kueue-mutating-webhook-configuration",), PODS, as_kueue_does):

        def heard() -> bool:
            made = team.create(member("probe", "", labels=QUEUED), dry_run=True)
            return {"name": KUEUES} in made["spec"].get("schedulingGates", ())

        eventually(heard)  # an API server learns of a configuration after a while
        yield


def admit(team: Team, name: str) -> None:
    """Release a pod, as Kueue does once there is room in its queue."""
    at = gates(team, name).index(KUEUES)
    patch = [{"op": "remove", "path": f"/spec/schedulingGates/{at}"}]
    team.request("PATCH", team.path("Pod", name), patch, "application/json-patch+json")


def test_pods_with_a_label_of_kueues_wait_without_kueue(team: Team, counting: Callable[..., Concurrency]) -> None:
    team.options("o", {"maxParallelism": 1})
    with counting() as runs:
        for name in ("a", "b", "c"):
            team.create(member(name, "g", "1h", options="o", labels=QUEUED))
        eventually(lambda: runs.now == {"g": 1})
        eventually(lambda: team.get("ExecutionOptions", "o")["status"].get("pods") == {"running": 1, "waiting": 2})
        team.request("DELETE", team.path("Pod", runs.order[0]) + "?gracePeriodSeconds=0")
        eventually(lambda: len(runs.order) == 2)
    assert runs.most == {"g": 1}


def test_a_pod_that_kueue_holds_is_left_to_it_and_takes_no_slot(team: Team) -> None:
    team.options("o", {"maxParallelism": 1})
    with kueue(team):
        for name in ("a", "b"):
            made = team.create(member(name, "g", "1h", options="o", labels=QUEUED))
            assert made["spec"]["schedulingGates"] == [{"name": GATE}, {"name": KUEUES}]
        for name in ("a", "b"):
            eventually(lambda name=name: gates(team, name) == [KUEUES])
            assert label(team, name) == "kueue"
        for name in ("ours", "next"):
            team.create(member(name, "g", "1h", options="o"))
        eventually(lambda: gates(team, "ours") == [])
        for name in ("a", "b"):
            admit(team, name)
        eventually(lambda: team.get("ExecutionOptions", "o")["status"].get("pods") == {"running": 1, "waiting": 1})
        assert [gates(team, name) for name in ("a", "b", "next")] == [[], [], [GATE]]


@pytest.mark.usefixtures("runs")
def test_an_event_reports_pods_that_are_left_to_kueue(team: Team) -> None:
    team.options("o", {"maxParallelism": 1})
    with kueue(team):
        assert "created" in start(team, run(team, "r"), "p", labels=QUEUED)
        eventually(lambda: gates(team, "p") == [KUEUES])
    events = ("get", "events", "--field-selector=reason=LeftToKueue")
    eventually(lambda: "maxParallelism is left to its quota" in team.kubectl(*events))


def test_a_pod_that_is_created_with_kueues_gate_is_left_to_it_at_once(team: Team) -> None:
    team.options("o", {"maxParallelism": 1})
    held: Any = [{"name": "kueue.x-k8s.io/topology"}]
    made = team.create(member("p", "g", "1h", options="o", schedulingGates=held))
    assert made["spec"]["schedulingGates"] == held
    assert made["metadata"]["labels"][GATE] == "kueue"


def test_a_pod_that_kueue_released_before_we_left_it_to_kueue_waits_for_a_slot(
    team: Team, operator: LocalOperator, counting: Callable[..., Concurrency]
) -> None:
    team.options("o", {"maxParallelism": 1})
    with kueue(team), counting() as runs:
        operator.kill("controller", signal.SIGTERM)
        try:
            for name in ("a", "b", "c"):
                team.create(member(name, "g", "1h", options="o", labels=QUEUED))
            for name in ("a", "b"):
                admit(team, name)
        finally:
            operator.start("controller")
            operator.wait_ready("controller")
        eventually(lambda: runs.now == {"g": 1}, timeout=60)
        eventually(lambda: gates(team, "c") == [KUEUES])
        team.request("DELETE", team.path("Pod", runs.order[0]) + "?gracePeriodSeconds=0")
        eventually(lambda: len(runs.order) == 2)
    assert runs.most == {"g": 1}
