"""A controller as a process of its own, with exactly the rights that it is installed with."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kubernetes.config import new_client_from_config

from execution_options.admission.creation import decide
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import GROUP, VERSION
from execution_options.api.resources import from_api
from execution_options.engines.facts import execution_of
from execution_options.engines.profile import Engine, builtin
from execution_options.install import CONTROLLER, SYSTEM_NAMESPACE, rbac
from execution_options.kube.client import path_of
from execution_options.options.snapshot import new_id
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from execution_options.cluster import Cluster

Manifest = dict[str, Any]

ENGINES: dict[str, Engine] = {engine.name: engine for engine in builtin()}
LEASE_SECONDS = 8.0
"""Short for a test, long for a busy machine."""
LEASE = path_of("coordination.k8s.io", "v1", "leases", SYSTEM_NAMESPACE, "execution-options-controller")
PLURALS = {
    "ExecutionOptions": path_of(GROUP, VERSION, "executionoptions"),
    "ClusterExecutionOptions": path_of(GROUP, VERSION, "clusterexecutionoptions"),
}

EXPECTED = re.compile(
    r"created past the webhook|ServiceAccount(Missing|NotWritten|NotOurs|Conflict)|InvalidIamRole"
    r"|NotificationChannel .*: (Secret(Missing|KeyMissing|Forbidden)|InvalidAuth): "
    r"|was not renewed|lease .* (was taken|could not be renewed)|TimeoutError; again in"
    r"|artifact repositories of namespace .* is larger than"
    r"|the platform wants no b; again in|Kubernetes takes at most"
)
"""Warnings that the tests, or a machine that is busy with others, provoke."""


class RequestError(Exception):
    """The API server refused a request of a test."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status


class Api:
    """The API server, as a user sees it."""

    def __init__(self, cluster: Cluster) -> None:
        self._client = new_client_from_config(config_file=str(cluster.kubeconfig), context=cluster.context)

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        configuration = self._client.configuration
        token = configuration.get_api_key_with_prefix("authorization")
        response = self._client.rest_client.pool_manager.request(
            method,
            f"{configuration.host}{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content_type} | ({"Authorization": token} if token else {}),
        )
        if response.status >= 400:
            raise RequestError(response.status, response.data.decode())
        return json.loads(response.data)

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def find(self, path: str) -> Any:
        try:
            return self.get(path)
        except RequestError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, body: Manifest) -> Any:
        return self.request("POST", path, body)

    def merge(self, path: str, body: Manifest) -> Any:
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> Any:
        return self.request("DELETE", path)

    def close(self) -> None:
        self._client.rest_client.pool_manager.clear()
        self._client.close()


def free_lease(api: Api) -> None:
    """Let the next controller begin at once, where the last one was killed and has nothing under way."""
    if api.find(LEASE) is not None:
        api.merge(LEASE, {"spec": {"holderIdentity": ""}})


class Team:
    """One namespace, in as few words as a test needs."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def path(self, plural: str, name: str = "") -> str:
        group = {"jobs": "batch", "cronjobs": "batch", "executionoptions": GROUP}.get(plural, "")
        return path_of(group, VERSION if group == GROUP else "v1", plural, self.namespace, name)

    def options(self, name: str, spec: Manifest) -> Manifest:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ExecutionOptions",
            "metadata": {"name": name},
            "spec": spec,
        }
        created: Manifest = self.api.create(self.path("executionoptions"), body)
        return created

    def edit(self, name: str, spec: Manifest) -> int:
        """Merge into the spec; the new generation."""
        generation: int = self.api.merge(self.path("executionoptions", name), {"spec": spec})["metadata"]["generation"]
        return generation

    def status(self, name: str) -> Manifest:
        found: Manifest = self.api.get(self.path("executionoptions", name)).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> Manifest:
        return next((c for c in self.status(name).get("conditions", ()) if c["type"] == kind), {})

    def job(self, name: str, *, stamped: bool = True, **changes: Any) -> Manifest:
        """Create a Job whose pods never end, as admission would make it unless ``stamped`` is false."""
        body = self.job_manifest(name, **changes)
        if stamped:
            self.admit("job", body)
        created: Manifest = self.api.create(self.path("jobs"), body)
        return created

    def job_manifest(self, name: str, *, labels: Manifest | None = None, reference: str = "", **spec: Any) -> Manifest:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": dict(labels or {}),
                "annotations": {f"{GROUP}/options": reference} if reference else {},
            },
            "spec": {
                "template": {
                    "metadata": {
                        "labels": dict(labels or {}),
                        "annotations": {"sim.execution.dev/outcome": "never"},
                    },
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]},
                }
            }
            | spec,
        }

    def admit(self, engine: str, document: Manifest) -> None:
        """What the webhook would do."""
        stored = [
            item | {"kind": kind}
            for kind, path in PLURALS.items()
            for item in self.api.get(path)["items"]
            if item["metadata"].get("namespace") in (None, self.namespace)
        ]
        metadata = document["metadata"]
        facts = execution_of(
            ENGINES[engine],
            ObjectMeta(name=metadata["name"], labels=metadata["labels"], annotations=metadata["annotations"]),
            self.namespace,
            {},
        )
        decide(ENGINES[engine], document, facts, [from_api(item) for item in stored], new_id())

    def get(self, plural: str, name: str) -> Manifest:
        found: Manifest = self.api.get(self.path(plural, name))
        return found

    def labels(self, plural: str, name: str) -> Manifest:
        return {
            key: value
            for key, value in self.get(plural, name)["metadata"].get("labels", {}).items()
            if key not in ("job-name", "controller-uid") and not key.startswith(("batch.kubernetes.io/", f"{GROUP}/"))
        }

    def annotations(self, plural: str, name: str) -> Manifest:
        found: Manifest = self.get(plural, name)["metadata"].get("annotations", {})
        return found

    def pods(self, job: str) -> list[str]:
        """Names of the living pods of a Job."""
        found = self.api.get(self.path("pods") + f"?labelSelector=batch.kubernetes.io/job-name={job}")["items"]
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def events(self, name: str, reason: str) -> list[Manifest]:
        found = self.api.get(path_of("events.k8s.io", "v1", "events", self.namespace))["items"]
        return [e for e in found if e["regarding"]["name"] == name and e["reason"] == reason]


@contextmanager
def refusing(team: Team, label: str) -> Iterator[None]:
    """A policy of the platform counts meanwhile, by which no Job of the team gets a label."""
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["UPDATE"]}
    lacks = f"!has(object.metadata.labels) || !('{label}' in object.metadata.labels)"
    scope = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}}}
    specs = {
        "ValidatingAdmissionPolicy": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": lacks, "message": f"the platform wants no {label}"}],
        },
        "ValidatingAdmissionPolicyBinding": {
            "policyName": team.namespace,
            "validationActions": ["Deny"],
            "matchResources": scope,
        },
    }
    made = []
    for kind, spec in specs.items():
        plural = "validatingadmissionpolicies" if kind.endswith("Policy") else "validatingadmissionpolicybindings"
        body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": team.namespace}}
        team.api.create(path_of("admissionregistration.k8s.io", "v1", plural), {**body, "spec": spec})
        made.append(path_of("admissionregistration.k8s.io", "v1", plural, name=team.namespace))
    team.job("other")

    def counts() -> bool:
        try:
            team.api.merge(f"{team.path('jobs', 'other')}?dryRun=All", {"metadata": {"labels": {label: "x"}}})
        except RequestError:
            return True
        return False

    try:
        eventually(counts)
        yield
    finally:
        for path in made:
            team.api.delete(path)


class Process:
    """A running controller."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self.log = log
        command = [
            *(sys.executable, "-m", "execution_options", "controller", "--kubeconfig", str(kubeconfig)),
            *("--host", "127.0.0.1", "--health-port", "0", "--log-format", "json", "--status-interval", "0.3"),
            *("--lease-duration", str(LEASE_SECONDS), "--allow-network", "127.0.0.0/8"),
        ]
        with log.open("ab") as target:
            self.process = subprocess.Popen(command, stderr=target, stdout=target)

    def lines(self) -> list[Manifest]:
        # What a command says when it fails is for people.
        return [json.loads(line) for line in self.log.read_text().splitlines() if not line.startswith("Error: ")]

    def message(self, text: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return any(text in line["message"] for line in self.lines())

    def active(self) -> Process:
        eventually(lambda: self.message("active:"))
        return self

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def unexpected(self) -> list[Manifest]:
        return [
            line
            for line in self.lines()
            if line["level"] not in ("info", "debug") and not EXPECTED.search(line["message"])
        ]


@pytest.fixture(scope="session")
def api(control_plane: Cluster, crds: None) -> Iterator[Api]:
    client = Api(control_plane)
    yield client
    client.close()


@pytest.fixture
def team(api: Api, namespace: str) -> Team:
    return Team(api, namespace)


@pytest.fixture(scope="module")
def controllers_kubeconfig(control_plane: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The controller's own identity."""
    control_plane.run_kubectl(["apply", "--server-side", "-f", "-"], input=yaml.safe_dump_all(rbac()))
    token = control_plane.run_kubectl(["create", "token", CONTROLLER, "-n", SYSTEM_NAMESPACE]).stdout.strip()
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    context = next(c["context"] for c in config["contexts"] if c["name"] == control_plane.context)
    config["users"] = [{"name": CONTROLLER, "user": {"token": token}}]
    context["user"] = CONTROLLER
    config["current-context"] = control_plane.context
    path = tmp_path_factory.mktemp("controller") / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def start(api: Api, controllers_kubeconfig: Path, tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Starts controllers; those that still run are stopped, and no log may hold an unexpected line."""
    started: list[Process] = []

    def one() -> Process:
        started.append(Process(controllers_kubeconfig, tmp_path / f"controller-{len(started)}.log"))
        return started[-1]

    yield one
    for process in started:
        if process.process.poll() is None:
            assert process.stop() == 0, process.log.read_text()
    free_lease(api)
    assert [line for process in started for line in process.unexpected()] == []


@pytest.fixture(scope="module")
def running(controllers_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One controller for the tests of a module."""
    process = Process(controllers_kubeconfig, tmp_path_factory.mktemp("controller") / "log")
    try:
        process.active()
        yield process
        assert process.stop() == 0, process.log.read_text()
    finally:
        # One that did not become active would keep the next from it.
        process.kill()


@pytest.fixture
def controller(running: Process) -> Iterator[Process]:
    """A controller; its log is scanned after the test."""
    yield running
    assert running.unexpected() == []
