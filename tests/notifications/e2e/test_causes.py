"""A message about a failure says which pod failed first, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.install import CONTROLLER, SYSTEM_NAMESPACE
from execution_options.kube.client import path_of
from support.services import Received, Says, Service
from support.serving import Certificate
from support.waiting import eventually

from .conftest import MERGE, Controller, Office, exits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from execution_options.local import LocalOperator
    from support.services import WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
def controller(operator: LocalOperator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """One controller for all tests of this module, of a cluster with a name."""
    log = tmp_path_factory.mktemp("controller") / "log"
    running = Controller(operator.logs / "controller.kubeconfig", log, None, "--cluster-name", "prod-eu")
    yield running.active()
    running.process.terminate()
    assert running.process.wait(60) == 0, running.log.read_text()
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(autouse=True)
def hook(office: Office, receiver: WebhookReceiver) -> None:
    """A channel by which failures are sent."""
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["FAILED", "TIMED_OUT", "ABORTED"], "webhook": {}})


def pods_of(office: Office, name: str, number: int, node: str = "", **spec: Any) -> list[str]:
    """Create a Job with pods that run until the test ends them, perhaps on one node. Returns their names."""
    pod: dict[str, Any] = {"restartPolicy": "Never", "containers": [{"name": "base", "image": "none"}]}
    pod |= {"nodeName": node} if node else {}
    template = {"metadata": {"annotations": {"sim.execution.dev/outcome": "never"}}, "spec": pod}
    body = {"backoffLimit": 0, "parallelism": number, "completions": number, "template": template} | spec
    office.team.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body})

    def found() -> list[str]:
        names = [pod["metadata"]["name"] for pod in office.team.listed("Pod")]
        return [one for one in names if one.startswith(f"{name}-")]

    return eventually(lambda: pods if len(pods := found()) == number else [])


class Kubelet(Service):
    """Answers for the containers of a node as a kubelet does: https://kubernetes.io/docs/concepts/architecture/nodes/."""

    def usual(self, request: Received) -> Says:
        if not request.path.startswith("/containerLogs/"):
            return Says(404)
        lines = [f"epoch {number}" for number in range(100)] + ["CUDA out of memory"]
        return Says(200, "\n".join(lines[-int(request.query["tailLines"]) :]) + "\n", {"content-type": "text/plain"})


@pytest.fixture
def kubelet(office: Office, tmp_path: Path) -> Iterator[Kubelet]:
    """The kubelet of a node of its own, which the API server asks."""
    with Kubelet(Certificate(tmp_path).context) as server:
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": ""}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": server.port}},
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{office.namespace}"}, "status": status}
        office.team.request("POST", path_of("", "v1", "nodes"), node)
        yield server
        office.team.request("DELETE", path_of("", "v1", "nodes", "", f"node-{office.namespace}"))


def may_read_logs(office: Office) -> None:
    """What the note of a message says how to do."""
    where, role = f"-n={office.namespace}", "execution-options-logs"
    office.team.kubectl("create", "role", role, where, "--verb=get", "--resource=pods/log")
    account = f"--serviceaccount={SYSTEM_NAMESPACE}:{CONTROLLER}"
    office.team.kubectl("create", "rolebinding", role, where, f"--role={role}", account)


def test_log_lines_are_sent_where_a_channel_asks_and_somebody_gave_the_right(
    office: Office, receiver: WebhookReceiver, kubelet: Kubelet
) -> None:
    office.channel("logs", webhook={"url": f"{receiver.url}/logs"}, logLines=3, default=False)
    both = [
        {"phases": ["FAILED"], "webhook": {}},
        {"phases": ["FAILED"], "webhook": {}, "channelRef": {"name": "logs"}},
    ]
    office.team.merge("ExecutionOptions", "o", {"spec": {"notifications": both}})

    def failed(name: str) -> tuple[dict[str, Any], str]:
        """By channel the log that was sent; and the note of the message that should have one."""
        (pod,) = pods_of(office, name, 1, node=f"node-{office.namespace}")
        exits(office, pod, code=1)
        done = {one["spec"]["channel"]["name"]: one["spec"]["message"] for one in office.all_finished(name, 2)}
        logs = {channel: json.loads(said["payload"])["data"]["cause"]["log"] for channel, said in done.items()}
        return logs, done["logs"].get("note", "")

    logs, note = failed("before")
    assert logs == {"hook": "", "logs": ""}
    assert f"kubectl create role execution-options-logs -n {office.namespace} --verb=get --resource=pods/log" in note
    assert kubelet.received == []

    may_read_logs(office)

    def read() -> bool:
        """The right may not be known to every part at once."""
        logs, note = failed(f"after-{len(receiver.received)}")
        assert (logs["logs"], note) == ("epoch 98\nepoch 99\nCUDA out of memory", "")
        assert logs["hook"] == "", "this channel does not ask"
        return True

    eventually(read)


def event_of(office: Office, name: str) -> dict[str, Any]:
    """The CloudEvent that was recorded for a Job, once it was delivered."""
    event: dict[str, Any] = json.loads(office.delivery(name)["spec"]["message"]["payload"])
    return event


def test_of_a_run_of_many_pods_the_first_that_failed_is_named(office: Office) -> None:
    first, *_ = pods_of(office, "sweep", 4)
    exits(office, first, code=137, reason="OOMKilled", message="batch 512 does not fit")

    event = event_of(office, "sweep")
    assert event["source"] == f"/clusters/prod-eu/apis/batch/v1/namespaces/{office.namespace}/Job"
    assert event["data"]["subject"] == "[prod-eu] sweep failed: OOMKilled"
    cause = event["data"]["cause"]
    assert cause | {"failed": 1, "pods": 4} == {
        "text": f"OOMKilled in container base of pod {first} (exit code 137)",
        "pod": first,
        "container": "base",
        "reason": "OOMKilled",
        "exitCode": 137,
        "message": "batch 512 does not fit",
        "failed": 1,
        "pods": 4,
        "logs": f"kubectl logs -n {office.namespace} {first} -c base",
        "log": "",
    }
    # The others were ended by their deletion, which is no failure of theirs.
    assert (cause["failed"], cause["pods"]) == (1, 4)


def test_a_pod_that_could_not_start_is_the_cause_of_a_time_out(office: Office) -> None:
    (pod,) = pods_of(office, "late", 1, activeDeadlineSeconds=5)
    eventually(lambda: office.team.get("Pod", pod)["status"].get("phase") == "Running")
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "none"'}
    container = {"name": "base", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    status = {"containerStatuses": [container | {"state": {"waiting": waiting}}]}
    office.team.request("PATCH", office.team.path("Pod", pod) + "/status", {"status": status}, MERGE)

    data = event_of(office, "late")["data"]
    assert data["phase"] == "TIMED_OUT"
    assert (data["cause"]["reason"], data["cause"]["pod"], data["cause"]["logs"]) == ("ImagePullBackOff", pod, "")


def test_an_execution_that_was_deleted_did_not_fail(office: Office) -> None:
    (pod,) = pods_of(office, "gone", 1)
    eventually(lambda: office.team.get("Pod", pod)["status"].get("phase") == "Running")
    office.team.kubectl("delete", "job", "gone")
    data = event_of(office, "gone")["data"]
    assert (data["phase"], data["cause"]) == ("ABORTED", None)
