"""From the end of an execution to the delivery log, with services on loopback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GROUP, NOTIFICATIONS_FINALIZER
from execution_options.engines.profile import builtin
from execution_options.kube.client import path_of
from support.enginekinds import install_kinds
from support.mail import MailServer
from support.services import PagerDuty, Says
from support.serving import HOST
from support.waiting import eventually

from .conftest import MERGE, TOKEN, Office, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator
    from support.services import Slack, WebhookReceiver

    from .conftest import Controller

pytestmark = [pytest.mark.e2e, pytest.mark.long]

MAIL_TO_NOBODY = {"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}
HOOK = {"phases": ["FAILED"], "webhook": {}}


@pytest.fixture(scope="module")
def controller(operator: LocalOperator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """One controller for all tests of this module; its log is scanned at the end."""
    from .conftest import Controller

    running = Controller(operator.logs / "controller.kubeconfig", tmp_path_factory.mktemp("controller") / "log")
    yield running.active()
    running.process.terminate()
    assert running.process.wait(60) == 0, running.log.read_text()
    lines = running.log.read_text().splitlines()
    suspicious = [line for line in lines if " WARNING " in line or " ERROR " in line or "Traceback" in line]
    # Logged for the channel that refuses once, if its status is written before the next message.
    provoked = "/hook: LastSendRefused: the last message: HTTP 400: no"
    assert [line for line in suspicious if not line.endswith(provoked)] == []


@pytest.fixture(autouse=True)
def running(controller: Controller) -> None:
    """Every test has it."""


def command(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ["--kubeconfig", str(cluster.kubeconfig), "--context", cluster.context]
    line = [sys.executable, "-m", "execution_options", "notify", *arguments, *where]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_bad_recipient_fails_at_once_and_shows_in_the_log_and_in_events(office: Office, slack: Slack) -> None:
    office.may_read_secrets()
    office.secret(token=TOKEN)
    office.channel("slack", slack={"botTokenSecretRef": {"name": "channel", "key": "token"}, "apiURL": slack.api})
    office.options({"phases": ["FAILED"], "slack": {"recipients": ["#dev-alerts", "#gone"]}})
    office.jobs("train")
    office.end("train")
    delivery = office.delivery("train")
    assert state(delivery) == "Failed"
    assert {one["name"]: one["state"] for one in delivery["status"]["recipients"]} == {
        "#dev-alerts": "Delivered",
        "#gone": "Failed",
    }
    assert len(slack.posted) == 1
    (row,) = office.team.kubectl("get", "nd", "--no-headers").splitlines()
    for shown in ("train", "FAILED", "slack", "#dev-alerts, #gone", "Failed", "ChannelNotFound"):
        assert shown in row
    events = eventually(lambda: office.team.kubectl("get", "events"))
    eventually(lambda: "NotificationFailed" in office.team.kubectl("get", "events"))
    assert TOKEN not in events


def test_a_busy_service_is_not_called_before_its_retry_after(
    office: Office, receiver: WebhookReceiver, controller: Controller
) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options(HOOK)
    office.jobs("train")
    receiver.answers.append(Says(429, "slow down", {"Retry-After": "3"}))
    office.end("train")
    waiting = eventually(lambda: [one for one in office.deliveries() if "nextAttempt" in one.get("status", {})])[0]
    assert (state(waiting), waiting["status"]["reason"]) == ("Pending", "RateLimited")
    assert state(office.delivery("train")) == "Delivered"
    first, second = receiver.received
    assert second.at - first.at >= 3
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    port = next(line.rsplit(" ", 1)[1] for line in controller.log.read_text().splitlines() if "metrics on port" in line)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        metrics = page.read().decode()
    assert 'execution_options_delivery_attempts_total{result="Temporary",type="webhook"}' in metrics
    assert 'execution_options_deliveries_total{state="Delivered",type="webhook"}' in metrics
    assert 'execution_options_delivery_seconds_count{type="webhook"}' in metrics
    assert "execution_options_delivery_oldest_seconds" in metrics
    assert office.namespace not in metrics


def test_suppressed_and_unrouted_notifications_are_recorded_with_a_reason(office: Office) -> None:
    office.options(MAIL_TO_NOBODY)
    office.jobs("train")
    office.end("train")
    lost = office.delivery("train")
    assert (state(lost), lost["status"]["reason"]) == ("Failed", "NoChannel")
    office.team.merge("ExecutionOptions", "o", {"spec": {"disableNotifications": True}})
    office.jobs("silent")
    office.end("silent")
    silent = office.delivery("silent")
    assert (state(silent), silent["status"]["reason"]) == ("Suppressed", "Disabled")
    assert "ExecutionOptions o" in silent["status"]["message"]


def test_an_end_before_the_execution_was_created_is_not_notified(office: Office, receiver: WebhookReceiver) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options(HOOK)
    office.jobs("restored", "fresh")
    office.end("restored", at=datetime.now(UTC) - timedelta(hours=1))
    office.end("fresh")
    office.delivery("fresh")
    assert office.deliveries("restored") == []
    assert len(receiver.received) == 1


def test_a_notification_that_was_added_while_it_ran_counts_and_later_edits_do_not(
    office: Office, receiver: WebhookReceiver
) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options()
    office.jobs("train")
    office.team.merge("ExecutionOptions", "o", {"spec": {"notifications": [HOOK]}})
    eventually(lambda: f"{GROUP}/live" in office.team.get("Job", "train")["metadata"]["annotations"])
    office.end("train")
    office.delivery("train")
    office.team.merge("ExecutionOptions", "o", {"spec": {"notifications": []}})
    assert len(receiver.received) == 1


def test_held_executions_stay_until_their_notifications_are_recorded(office: Office, receiver: WebhookReceiver) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options(HOOK, notificationGuarantee="Held")
    office.jobs("ended", "unfinished")
    for name in ("ended", "unfinished"):
        assert NOTIFICATIONS_FINALIZER in office.team.get("Job", name)["metadata"]["finalizers"]
    office.team.request("DELETE", office.team.path("Job", "unfinished") + "?propagationPolicy=Background")
    office.end("ended")
    office.delivery("ended")
    eventually(lambda: NOTIFICATIONS_FINALIZER not in office.team.get("Job", "ended")["metadata"].get("finalizers", ()))
    eventually(lambda: [job["metadata"]["name"] for job in office.team.listed("Job")] == ["ended"])
    assert office.deliveries("unfinished") == []


def test_a_pod_that_is_deleted_before_its_end_is_notified_once(office: Office, receiver: WebhookReceiver) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["ABORTED", "FAILED", "SUCCEEDED"], "webhook": {}})
    annotations = {f"{GROUP}/options": "o", "sim.execution.dev/outcome": "never"}
    pod = {"containers": [{"name": "main", "image": "none"}], "restartPolicy": "Never"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "notebook", "annotations": annotations}}
    office.team.create({**body, "spec": pod})
    eventually(lambda: office.team.get("Pod", "notebook")["status"].get("phase") == "Running")
    office.team.request("DELETE", office.team.path("Pod", "notebook"))
    # The end of its killed containers may be seen before the deletion.
    assert office.delivery("notebook")["spec"]["phase"] in ("ABORTED", "FAILED")
    eventually(lambda: office.team.listed("Pod") == [])
    assert len(office.deliveries("notebook")) == 1


JOBSETS = "system:serviceaccount:jobset-system:jobset-controller-manager"
TEKTON = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"
JOBS = "system:serviceaccount:kube-system:job-controller"


def test_an_execution_is_notified_once_and_its_parts_are_not(
    control_plane: Cluster, office: Office, receiver: WebhookReceiver
) -> None:
    """The Jobs of a JobSet, the TaskRuns of a PipelineRun, the pods of a Job."""
    kinds = {engine.kind: engine for engine in builtin()}
    install_kinds(control_plane, [kinds["JobSet"], kinds["PipelineRun"], kinds["TaskRun"]])
    office.team.label_namespace(pods="enabled")
    office.channel("hook", webhook={"url": receiver.url})
    office.options(HOOK)

    def create(kind: str, name: str, spec: dict[str, Any], owner: dict[str, Any] | None = None, by: str = "") -> Any:
        engine = kinds[kind]
        version = f"{engine.group}/{engine.version}" if engine.group else engine.version
        metadata: dict[str, Any] = {"name": name}
        if owner is not None:
            of = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
            metadata["ownerReferences"] = [of | {key: owner["metadata"][key] for key in ("name", "uid")}]
        body = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        impersonated = [f"--as={by}", "--as-group=system:masters"] if by else []
        arguments = ["create", "-n", office.namespace, "-o", "json", "-f", "-", *impersonated]
        return json.loads(control_plane.run_kubectl(arguments, input=json.dumps(body)).stdout)

    pod = {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]}
    job = {"managedBy": "example.com/test", "template": {"spec": pod}}
    whole = create("JobSet", "whole", {"replicatedJobs": [{"name": "workers", "template": {"spec": job}}]})
    part = create("Job", "part", job, whole, JOBSETS)
    create("Pod", "worker", pod, part, JOBS)
    create("Pod", "alone", pod, create("Job", "single", job), JOBS)
    step = {"name": "main", "image": "none", "command": ["true"]}
    run = create("PipelineRun", "run", {"pipelineSpec": {"tasks": [{"name": "t", "taskSpec": {"steps": [step]}}]}})
    create("TaskRun", "task", {"taskSpec": {"steps": [step]}}, run, TEKTON)

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def ends(kind: str, name: str, status: dict[str, Any]) -> None:
        engine = kinds[kind]
        path = path_of(engine.group, engine.version, engine.plural, office.namespace, name)
        office.team.request("PATCH", f"{path}/status", {"status": status}, MERGE)

    def condition(kind: str, status: str) -> dict[str, Any]:
        details = {"reason": "Failed", "message": "it broke", "lastTransitionTime": now}
        return {"conditions": [{"type": kind, "status": status, **details}]}

    # The parts end first.
    for name in ("worker", "alone"):
        ends("Pod", name, {"phase": "Failed"})
    office.end("part")
    ends("TaskRun", "task", {**condition("Succeeded", "False"), "completionTime": now, "podName": "task-pod"})
    ends("JobSet", "whole", {**condition("Failed", "True"), "terminalState": "Failed"})
    ends("PipelineRun", "run", {**condition("Succeeded", "False"), "completionTime": now})
    office.end("single")
    for name in ("whole", "run", "single"):
        assert state(office.delivery(name)) == "Delivered"
    notified = sorted(one["spec"]["execution"]["name"] for one in office.deliveries())
    assert notified == ["run", "single", "whole"]
    assert len(receiver.received) == 3


def test_a_later_success_resolves_the_incident_and_an_old_failure_does_not_open_it_again(office: Office) -> None:
    with PagerDuty("key") as pager:
        office.may_read_secrets()
        office.secret(key="key")
        key = {"routingKeySecretRef": {"name": "channel", "key": "key"}}
        office.channel("pager", pagerDuty={**key, "apiURL": pager.enqueue})
        office.options({"phases": ["FAILED"], "pagerDuty": {"recipients": ["on-call"]}})
        now = datetime.now(UTC)
        body: dict[str, Any] = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"generateName": "nightly-"},
            "spec": {
                "managedBy": "example.com/test",
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "none"}]}},
            },
        }
        early, well, late_one, broken, sibling = (office.team.create(body)["metadata"]["name"] for _ in range(5))
        office.end(early, at=now - timedelta(seconds=20))
        assert state(office.delivery(early)) == "Delivered"
        assert list(pager.incidents.values()) == ["triggered"]
        office.end(well, well=True, at=now)
        assert state(office.delivery(well)) == "Delivered"
        assert list(pager.incidents.values()) == ["resolved"]
        office.end(late_one, at=now - timedelta(seconds=10))
        late = office.delivery(late_one)
        assert (state(late), late["status"]["reason"]) == ("Suppressed", "Superseded")
        assert list(pager.incidents.values()) == ["resolved"]

        # One that ran at the same time as a failure says nothing of it.
        office.end(broken, at=now + timedelta(seconds=10))
        assert state(office.delivery(broken)) == "Delivered"
        office.end(sibling, well=True, at=now + timedelta(seconds=20))
        beside = office.delivery(sibling)
        assert (state(beside), beside["status"]["reason"]) == ("Suppressed", "Superseded")
        assert list(pager.incidents.values()) == ["triggered"]


def test_a_delivery_is_delivered_again_when_somebody_asks(
    control_plane: Cluster, office: Office, receiver: WebhookReceiver
) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options(HOOK)
    office.jobs("train")
    receiver.answers.append(Says(400, "no"))
    office.end("train")
    delivery = office.delivery("train")
    assert state(delivery) == "Failed"
    name = delivery["metadata"]["name"]
    printed = control_plane.run_kubectl(["get", "nd", "-n", office.namespace, "-o", "name"]).stdout.split()
    assert printed == [f"notificationdelivery.execution.dev/{name}"]
    result = command(control_plane, "redeliver", *printed, "-n", office.namespace)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Delivered" in result.stdout
    assert len(receiver.received) == 2
    # A label is enough for those without the command.
    change = {"metadata": {"labels": {f"{GROUP}/redeliver": "please"}}}
    office.team.request("PATCH", office.path("notificationdeliveries", name), change, MERGE)
    eventually(lambda: len(receiver.received) == 3)
    words = ("patch", f"notificationdelivery/{name}", "--type=merge", "-p", '{"spec": {"message": {"text": "mine"}}}')
    refused = control_plane.run_kubectl([*words, "-n", office.namespace], check=False)
    assert "a delivery stays as it was recorded" in refused.stderr
    missing = command(control_plane, "redeliver", "nothing", "-n", office.namespace)
    assert missing.returncode == 1
    assert "not found" in missing.stderr


def test_a_delivery_that_was_recorded_without_a_channel_cannot_be_redelivered(
    control_plane: Cluster, office: Office
) -> None:
    office.options(MAIL_TO_NOBODY)
    office.jobs("train")
    office.end("train")
    name = office.delivery("train")["metadata"]["name"]
    result = command(control_plane, "redeliver", name, "-n", office.namespace)
    assert result.returncode == 1
    assert "no channel reached them when it was recorded" in result.stdout
    assert state(office.delivery("train")) == "Failed"


def test_channels_and_options_can_be_tested(control_plane: Cluster, office: Office, receiver: WebhookReceiver) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options(HOOK, MAIL_TO_NOBODY, disableNotifications=True)
    result = command(control_plane, "test", "channel/hook", "-n", office.namespace)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "webhook hook" in result.stdout
    assert len(receiver.received) == 1
    result = command(control_plane, "test", "executionoptions.execution.dev/o", "-n", office.namespace)
    assert result.returncode == 1
    assert "NoChannel" in result.stdout
    assert len(receiver.received) == 2
    # With GitOps, an annotation in a manifest sends one test.
    change = {"metadata": {"annotations": {f"{GROUP}/test-notification": "v1"}}}
    office.team.request("PATCH", office.path("notificationchannels", "hook"), change, MERGE)
    eventually(lambda: len(receiver.received) == 3)
    office.team.request(
        "PATCH", office.path("notificationchannels", "hook"), {"metadata": {"labels": {"a": "b"}}}, MERGE
    )
    assert command(control_plane, "test", "nonsense/x").returncode == 2
    lines = [re.split(r" {2,}", line) for line in office.team.kubectl("get", "nd", "--no-headers").splitlines()]
    hook = ("webhook", "channel hook")
    rows = [("channel/hook", *hook), ("channel/hook", *hook), ("options/o", *hook), ("options/o", "email", "a@b.c")]
    assert sorted((execution, by, to) for _, execution, _, by, to, *_ in lines) == sorted(rows)


def test_a_test_alarms_nobody(control_plane: Cluster, office: Office, receiver: WebhookReceiver, slack: Slack) -> None:
    office.may_read_secrets()
    with PagerDuty("key") as pager, MailServer() as mail:
        office.secret(token=TOKEN, key="key")
        url = {"executionURL": "https://jobs.example.com/{{ namespace }}/{{ name }}"}
        office.channel("mail", email={"host": HOST, "port": mail.port, "tls": "None", "from": "jobs@b.c"}, **url)
        chat = {"botTokenSecretRef": {"name": "channel", "key": "token"}, "apiURL": slack.api}
        office.channel("chat", slack=chat, **url)
        pagers = {"routingKeySecretRef": {"name": "channel", "key": "key"}, "apiURL": pager.enqueue}
        office.channel("pager", pagerDuty=pagers, **url)
        office.channel("hook", webhook={"url": receiver.url}, **url)
        office.options(
            {"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}},
            {"phases": ["FAILED"], "slack": {"recipients": ["#dev-alerts"]}},
            {"phases": ["SUCCEEDED"], "pagerDuty": {"recipients": ["on-call"]}},
            {"phases": ["TIMED_OUT"], "webhook": {}},
        )
        targets: list[tuple[str, ...]] = [
            ("channel/mail", "--to", "a@b.c"),
            ("channel/chat", "--to", "#dev-alerts"),
            ("channel/pager",),
            ("channel/hook",),
            ("options/o",),
        ]
        for target in targets:
            result = command(control_plane, "test", *target, "-n", office.namespace)
            assert result.returncode == 0, result.stdout + result.stderr
        assert [one.message["subject"].startswith("TEST: ") for one in mail.mails] == [True, True]
        for one in mail.mails:
            assert "This is a test of" in one.part("plain")
            assert "TEST" in one.part("html")
            assert "#cf222e" not in one.part("html")
        assert [message["text"].startswith("TEST: ") for message in slack.posted] == [True, True]
        assert [event.json["event_action"] for event in pager.received] == ["trigger", "resolve"] * 2
        assert {event.json["payload"]["severity"] for event in pager.received[::2]} == {"info"}
        assert set(pager.incidents.values()) == {"resolved"}
        assert [request.json["type"] for request in receiver.received] == ["dev.execution.test"] * 2
        sent = [*(str(one.message) for one in mail.mails), *(json.dumps(message) for message in slack.posted)]
        sent += [request.body.decode() for request in (*pager.received, *receiver.received)]
        assert not [text for text in sent if "jobs.example.com" in text or "FAILED" in text]
