"""The operator with its notifications, services on loopback, and controllers that can be killed."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.api.names import API_VERSION, GROUP, VERSION
from execution_options.install import CONTROLLER, SYSTEM_NAMESPACE
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support.faults import FaultyWay
from support.services import Slack, WebhookReceiver
from support.team import RefusedError, Team, working
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from execution_options.cluster import Cluster

Manifest = dict[str, Any]

LEASE = path_of("coordination.k8s.io", "v1", "leases", SYSTEM_NAMESPACE, "execution-options-controller")
TOKEN = "xoxb-canary-5k2h"
SEND_SECONDS = 1
MERGE = "application/merge-patch+json"


class Office:
    """A team with channels, whose Jobs end when the test says so."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.namespace = team.namespace

    def path(self, plural: str, name: str = "") -> str:
        return path_of(GROUP, VERSION, plural, self.namespace, name)

    def may_read_secrets(self) -> None:
        """Let the controller read the Secrets of the channels in this namespace."""
        role = {"name": "channels"}
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        group = "rbac.authorization.k8s.io"
        self.team.request(
            "POST",
            path_of(group, "v1", "roles", self.namespace),
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": role, "rules": rules},
        )
        subject = {"kind": "ServiceAccount", "name": CONTROLLER, "namespace": SYSTEM_NAMESPACE}
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": role,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "channels"},
            "subjects": [subject],
        }
        self.team.request("POST", path_of(group, "v1", "rolebindings", self.namespace), binding)

    def secret(self, **data: str) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "channel"}, "stringData": data}
        self.team.request("POST", path_of("", "v1", "secrets", self.namespace), body)

    def channel(self, name: str, **spec: Any) -> None:
        body = {"apiVersion": API_VERSION, "kind": "NotificationChannel", "metadata": {"name": name}}
        self.team.request("POST", self.path("notificationchannels"), {**body, "spec": {"default": True, **spec}})

    def options(self, *notifications: Manifest, **spec: Any) -> Manifest:
        return self.team.options("o", {"selector": {}, "notifications": list(notifications), **spec})

    def jobs(self, *names: str) -> None:
        """Create Jobs that no controller touches, so that only the test writes their status."""
        for name in names:
            pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}
            body: Manifest = {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name},
                "spec": {"managedBy": "example.com/test", "template": pods},
            }
            created = self.team.create(body)
            assert f"{GROUP}/snapshot" in created["metadata"]["annotations"]

    def end(self, name: str, *, well: bool = False, at: datetime | None = None) -> None:
        """End a Job."""
        now = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        kinds = ("SuccessCriteriaMet", "Complete") if well else ("FailureTarget", "Failed")
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": "Done" if well else "BackoffLimitExceeded",
                "message": "it went well" if well else "it broke",
                "lastTransitionTime": now,
                "lastProbeTime": now,
            }
            for kind in kinds
        ]
        status: Manifest = {"startTime": now, "conditions": conditions}
        status |= {"succeeded": 1, "completionTime": now} if well else {"failed": 1}
        self.team.request("PATCH", self.team.path("Job", name) + "/status", {"status": status}, MERGE)

    def deliveries(self, execution: str = "") -> list[Manifest]:
        found = self.team.request("GET", self.path("notificationdeliveries"))["items"]
        return [one for one in found if execution in ("", one["spec"]["execution"]["name"])]

    def delivery(self, execution: str) -> Manifest:
        """The one delivery of an execution, once it has finished."""
        (one,) = self.all_finished(execution, 1)
        return one

    def all_finished(self, execution: str, number: int) -> list[Manifest]:
        """The deliveries of an execution, once so many of them have finished."""

        def finished() -> list[Manifest]:
            found = self.deliveries(execution)
            done = [one for one in found if state(one) in ("Delivered", "Failed", "Suppressed")]
            return done if len(done) >= number else []

        return eventually(finished)

    def note(self, name: str) -> str:
        annotations: Manifest = self.team.get("Job", name)["metadata"]["annotations"]
        return str(annotations.get(f"{GROUP}/notified", ""))


def exits(office: Office, name: str, code: int = 0, message: str | None = None, reason: str = "") -> None:
    """Report, as a kubelet does, that a pod's program exited with this code and termination message."""
    eventually(lambda: office.team.get("Pod", name)["status"].get("phase") == "Running")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {"exitCode": code, "startedAt": now, "finishedAt": now} | ({} if message is None else {"message": message})
    ended |= {"reason": reason} if reason else {}
    container = {"name": "base", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    status = {
        "phase": "Failed" if code else "Succeeded",
        "conditions": [],
        "containerStatuses": [container | {"state": {"terminated": ended}}],
    }
    office.team.request("PATCH", office.team.path("Pod", name) + "/status", {"status": status}, MERGE)


def state(delivery: Manifest) -> str:
    return str(delivery.get("status", {}).get("state", "Pending"))


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The webhook; controllers are started by the tests, under the controller's own account."""
    with LocalOperator(control_plane.kubeconfig, control_plane.context, processes=("webhook",)) as running:
        yield running


@pytest.fixture
def office(control_plane: Cluster, namespace: str, operator: LocalOperator) -> Iterator[Office]:
    with working(control_plane, namespace) as team:
        yield Office(team)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as service:
        yield service


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack(TOKEN) as service:
        yield service


_PATIENT = "ends.REFUSED_SECONDS = {patience}; cli.main()"


class Controller:
    """A controller's process."""

    def __init__(self, kubeconfig: Path, log: Path, patience: float | None = None, *options: str) -> None:
        self.log = log
        # Only tests set how long refused deliveries are retried, so there is no option for it.
        program = f"from execution_options import cli; from execution_options.controller.outbox import ends; {_PATIENT}"
        run = ["-m", "execution_options"] if patience is None else ["-c", program.format(patience=patience)]
        command = [
            *(sys.executable, *run, "controller", "--kubeconfig", str(kubeconfig)),
            *("--host", "127.0.0.1", "--health-port", "0", "--lease-duration", "8", "--status-interval", "0.3"),
            *("--allow-network", "127.0.0.0/8", "--send-timeout", str(SEND_SECONDS)),
            *options,
        ]
        with log.open("ab") as target:
            self.process = subprocess.Popen(command, stderr=target, stdout=target)

    def active(self) -> Controller:
        eventually(lambda: "active:" in self.log.read_text() or self.process.poll() is not None, timeout=90)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def metrics(self) -> dict[str, float]:
        """Values by name and labels, as the page writes them."""
        port = re.findall(r"metrics on port (\d+)", self.log.read_text())[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines if not x.startswith("#"))}

    def kill(self) -> None:
        """Kill the process at once."""
        os.kill(self.process.pid, signal.SIGKILL)

    def died(self) -> None:
        """Wait until the process has exited."""
        self.process.wait(30)


class Controllers:
    """Starts controllers. The next one can begin at once when one was killed."""

    def __init__(self, kubeconfig: Path, folder: Path, team: Team, way: FaultyWay) -> None:
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._team = team
        self.way = way
        self.started: list[Controller] = []
        # A busy machine provokes this; tests add what they provoke themselves.
        self.tolerated = ["TimeoutError; again in"]

    def start(self, patience: float | None = None) -> Controller:
        log = self._folder / f"controller-{len(self.started)}.log"
        self.started.append(Controller(self._kubeconfig, log, patience))
        return self.started[-1]

    def start_in_place(self, patience: float | None = None) -> Controller:
        """Start a controller in place of one that was killed."""
        self.free_lease()
        return self.start(patience).active()

    def free_lease(self) -> None:
        """Release the Lease of a controller that was killed."""
        with contextlib.suppress(RefusedError):  # there is none yet
            self._team.request("PATCH", LEASE, {"spec": {"holderIdentity": ""}}, MERGE)


@pytest.fixture
def controllers(
    control_plane: Cluster, operator: LocalOperator, office: Office, tmp_path: Path
) -> Iterator[Controllers]:
    """Controllers whose connection to the API server a test can cut. Their logs are scanned at the end."""
    config = yaml.safe_load((operator.logs / "controller.kubeconfig").read_text())
    cluster = config["clusters"][0]["cluster"]
    ca = base64.b64decode(cluster.pop("certificate-authority-data")).decode()
    with FaultyWay(cluster["server"], ca) as way:
        cluster["server"] = way.url
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        made = Controllers(kubeconfig, tmp_path, office.team, way)
        yield made
        for one in made.started:
            if one.process.poll() is None:
                one.process.terminate()
        for one in made.started:
            one.process.wait(60)
        made.free_lease()
    lines = [line for one in made.started for line in one.log.read_text().splitlines()]
    suspicious = [line for line in lines if " WARNING " in line or " ERROR " in line or "Traceback" in line]
    assert [line for line in suspicious if not any(part in line for part in made.tolerated)] == []
