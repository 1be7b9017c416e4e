"""From the last release to this version and back, while executions wait, run, end and are notified."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GATE
from support.balancer import Balancer, balanced
from support.concurrency import Concurrency
from support.lastrelease import extract
from support.release import CHART, Process, Release
from support.services import Says, WebhookReceiver
from support.team import Team, options_manifest, working
from support.waiting import eventually
from support.workloads import job, pod

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from execution_options.cluster import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.long]

Manifest = dict[str, Any]
CAP = 2
GROUP = "execution.dev/group"
VALUES = [
    "--set=controller.leaseDurationSeconds=15",
    # The receiver is on loopback.
    "--set=controller.extraArgs={--allow-network=127.0.0.0/8,--status-interval=0.3}",
]


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """The last release: its source and its chart."""
    return extract(tmp_path / "last")


class Installation:
    """A release, its processes behind the Service, and a team whose executions must not notice what is done to it."""

    def __init__(self, release: Release, team: Team, balancer: Balancer, free_port: Callable[[], int]) -> None:
        self.release = release
        self.team = team
        self._balancer = balancer
        self._free_port = free_port
        self.jobs: list[str] = []
        self.pods: list[str] = []
        self.processes: list[Process] = []

    def start(self, source: Path | None = None) -> tuple[Process, Process]:
        """One more replica of the webhook, ready behind the Service, and one more candidate for the controller."""
        port, probes = self._free_port(), self._free_port()
        webhook = self.release.process("webhook", port, probes, source=source)
        controller = self.release.process("controller", 0, self._free_port(), source=source)
        self._balancer.add((port, probes))
        eventually(lambda: webhook.process.poll() is None and port in self._balancer.ready, timeout=60)
        controller.waits_for("probes and metrics on port")
        self.processes += [webhook, controller]
        return webhook, controller

    def helm(self, command: str, *arguments: str) -> None:
        """Change the release; the API server calls these replicas then, as it did before."""
        if command != "install":
            # What is as the chart has it is no conflict for Helm, whoever wrote it.
            self.release.call_pods()
        self.release.helm(command, *arguments)
        self.release.call(self._balancer.port)

    def work(self, phase: str) -> None:
        """Executions that are held, of which some wait for others; every one is admitted."""
        for number in range(5):
            name = f"{phase}-{number}"
            made = self.team.create(
                pod(name, annotations={GROUP: "g", "sim.execution.dev/duration": "1.2s"}, options="all")
            )
            self._given(made)
            assert {"name": GATE} in made["spec"]["schedulingGates"]
            self.pods.append(name)
        for number in range(2):
            name = f"{phase}-job-{number}"
            template = {"annotations": {"sim.execution.dev/outcome": "fail", "sim.execution.dev/duration": "0.5s"}}
            self._given(self.team.create(job(name, options="all", template=template, spec={"backoffLimit": 0})))
            self.jobs.append(name)

    @staticmethod
    def _given(made: Manifest) -> None:
        assert made["metadata"]["labels"]["tier"] == "one"
        assert "execution.dev/notifications" in made["metadata"]["finalizers"]

    def waiting(self) -> list[str]:
        """Pods that wait for their turn."""
        return [one["metadata"]["name"] for one in self.team.listed("Pod") if one["spec"].get("schedulingGates")]

    def deliveries(self) -> list[Manifest]:
        """What is to be sent, and was."""
        found: list[Manifest] = json.loads(self.team.kubectl("get", "notificationdeliveries", "-o", "json"))["items"]
        return found

    def held(self) -> list[str]:
        """Executions that carry the operator's finalizer."""
        found = [*self.team.listed("Pod"), *self.team.listed("Job")]
        return [one["metadata"]["name"] for one in found if one["metadata"].get("finalizers")]


def version_of(source: Path) -> str:
    """Where a process with this source root takes the operator from."""
    command = [sys.executable, "-c", "import execution_options; print(execution_options.__file__)"]
    return subprocess.run(command, env={"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True).stdout


def test_nothing_is_lost_on_the_way_to_this_version_and_back(
    cluster: ControlPlane, tmp_path: Path, last: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    old = last / "operator"
    assert version_of(old).startswith(str(old))
    release = Release(cluster, tmp_path)
    release.create_namespace()
    cluster.run_kubectl(["create", "namespace", "team"])
    with (
        WebhookReceiver() as receiver,
        working(cluster, "team") as team,
        balanced([]) as balancer,
        Concurrency(cluster, "team", lambda one: one["metadata"].get("annotations", {}).get(GROUP)) as counting,
    ):
        here = Installation(release, team, balancer, unused_tcp_port_factory)
        try:
            here.helm("install", str(last / "charts/execution-options"), *VALUES)
            webhook, controller = here.start(old)
            controller.waits_for("active:")
            receiver.always = Says(503)
            apply(team, receiver)
            here.work("old")
            eventually(lambda: len(receiver.received) > 2, timeout=60)

            # The new chart, while the old processes still run.
            here.helm("upgrade", str(CHART), *VALUES)
            here.work("upgraded")
            # Both versions side by side, as in a rolling change.
            new_webhook, new_controller = here.start()
            here.work("both")
            assert here.waiting()
            assert controller.stop() == 0
            new_controller.waits_for("active:")
            assert webhook.stop() == 0
            accepted_from = len(receiver.received)
            receiver.always = None
            here.work("new")
            eventually(lambda: len(here.deliveries()) >= 6, timeout=60)

            # And back.
            here.helm("rollback", "1")
            webhook, controller = here.start(old)
            here.work("back")
            assert here.waiting()
            assert new_controller.stop() == 0
            controller.waits_for("active:")
            assert new_webhook.stop() == 0

            everything = {*here.jobs, *here.pods}
            eventually(lambda: counting.done == len(here.pods), timeout=120)
            assert counting.most["g"] == CAP
            eventually(lambda: here.waiting() == here.held() == [], timeout=60)
            eventually(lambda: {one["spec"]["execution"]["name"] for one in here.deliveries()} == everything)
            eventually(lambda: {state(one) for one in here.deliveries()} == {"Delivered"}, timeout=120)
            told = [one.json["subject"] for one in receiver.received[accepted_from:]]
            assert sorted(told) == sorted(everything)
            for process in here.processes:
                lines = [line for line in process.lines() if line["level"] in ("error", "critical")]
                # The last release lets kopf call it an error that the API server takes in a new version of our kinds.
                assert [line for line in lines if "storage is (re)initializing" not in line["message"]] == []
            # Each took over from the other at once, not when a Lease had run out.
            for process in (new_controller, controller):
                assert not any("did not release it" in line["message"] for line in process.lines())

            # What 0.1.0 left is this version's to take away.
            here.helm("upgrade", str(CHART), *VALUES)
            _, newest = here.start()
            assert controller.stop() == 0
            newest.waits_for("active:")
            assert webhook.stop() == 0
            assert newest.stop() == 0
        finally:
            release.stop()
    release.let_go()
    release.helm("uninstall")
    release.is_gone()
    cluster.run_kubectl(["delete", "namespace", release.namespace, "team"])


def apply(team: Team, receiver: WebhookReceiver) -> None:
    """Options that hold, cap and notify."""
    team.label_namespace(pods="enabled")
    channel = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "NotificationChannel",
        "metadata": {"name": "hook"},
        "spec": {"default": True, "webhook": {"url": receiver.url}},
    }
    spec = {
        "labels": {"tier": "one"},
        "maxParallelism": CAP,
        "notificationGuarantee": "Held",
        "notifications": [{"phases": ["SUCCEEDED", "FAILED"], "webhook": {}}],
    }
    team.kubectl("apply", "-f", "-", manifests=[channel, options_manifest("all", spec)])


def state(delivery: Manifest) -> str:
    found: str = delivery.get("status", {}).get("state", "")
    return found
