"""Beside the webhooks of others as these publish them: what options give is there when they judge, and stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import GATE
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support.waiting import eventually
from support.workloads import job, pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.team import Manifest, Team

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

QUEUE = "kueue.x-k8s.io/queue-name"


def queues(cpus: int) -> list[Manifest]:
    """A queue for the team, with that much in it."""
    quota = {"name": "any", "resources": [{"name": "cpu", "nominalQuota": str(cpus)}]}
    api, name = "kueue.x-k8s.io/v1beta2", f"cpus-{cpus}"
    return [
        {"apiVersion": api, "kind": "ResourceFlavor", "metadata": {"name": "any"}, "spec": {}},
        {
            "apiVersion": api,
            "kind": "ClusterQueue",
            "metadata": {"name": name},
            "spec": {
                "namespaceSelector": {},
                "resourceGroups": [{"coveredResources": ["cpu"], "flavors": [quota]}],
            },
        },
        {"apiVersion": api, "kind": "LocalQueue", "metadata": {"name": "team"}, "spec": {"clusterQueue": name}},
    ]


@pytest.fixture(scope="module")
def webhook(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The whole operator: what it changes later passes the webhooks of others, too."""
    with LocalOperator(control_plane.kubeconfig, control_plane.context) as operator:
        yield operator


def train(name: str) -> Manifest:
    """A Job that takes all of the queue until the test lets it end."""
    main = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    return job(name, template={"annotations": {"sim.execution.dev/outcome": "never"}}, containers=[main])


@pytest.mark.usefixtures("kueue")
def test_a_job_waits_in_the_queue_that_options_give(team: Team, tolerated: list[str]) -> None:
    team.kubectl("apply", "-f", "-", manifests=queues(1))
    team.options("queued", {"selector": {}, "labels": {QUEUE: "team", "tier": "one"}})
    first = team.create(train("first"))
    # Kueue reads its label when a Job is created, and suspends it then.
    assert first["metadata"]["labels"][QUEUE] == "team"
    assert first["spec"]["suspend"] is True
    eventually(lambda: team.get("Job", "first")["spec"]["suspend"] is False)
    team.create(train("second"))

    # What Kueue writes to start a Job leaves what options gave, and an edit reaches who runs and who waits.
    team.merge("ExecutionOptions", "queued", {"spec": {"labels": {"tier": "two"}}})
    for name in ("first", "second"):
        eventually(lambda name=name: team.get("Job", name)["metadata"]["labels"]["tier"] == "two")
    assert team.get("Job", "second")["spec"]["suspend"] is True

    # Kueue refuses to move a running Job to another queue. The Job then gets nothing of the edit; an Event says why.
    tolerated += [r"kueue\.x-k8s\.io.* again in"]
    team.merge("ExecutionOptions", "queued", {"spec": {"labels": {QUEUE: "other", "tier": "three"}}})
    events = f"/apis/events.k8s.io/v1/namespaces/{team.namespace}/events?fieldSelector=reason=OptionsNotFollowed"
    (event,) = eventually(lambda: team.request("GET", events)["items"])
    assert event["regarding"]["name"] == "first"
    assert "vjob.kb.io" in event["note"]
    assert team.get("Job", "first")["metadata"]["labels"]["tier"] == "two"
    eventually(lambda: team.get("Job", "second")["metadata"]["labels"][QUEUE] == "other")
    team.merge("ExecutionOptions", "queued", {"spec": {"labels": {QUEUE: "team"}}})
    for name in ("first", "second"):
        eventually(lambda name=name: team.get("Job", name)["metadata"]["labels"]["tier"] == "three", timeout=60)

    (running,) = (one["metadata"]["name"] for one in team.listed("Pod", "batch.kubernetes.io/job-name=first"))
    eventually(lambda: team.get("Pod", running)["metadata"]["labels"]["tier"] == "three")
    team.merge("Pod", running, {"metadata": {"annotations": {"sim.execution.dev/outcome": "succeed"}}})
    eventually(lambda: team.get("Job", "second")["spec"]["suspend"] is False)


@pytest.mark.usefixtures("kueue")
def test_kueue_decides_when_its_pods_run_and_we_when_ours_do(team: Team) -> None:
    def gates(name: str) -> list[str]:
        return [gate["name"] for gate in team.get("Pod", name)["spec"].get("schedulingGates", ())]

    def member(name: str, **labels: str) -> Manifest:
        main = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}
        annotations = {"execution.dev/group": "g", "sim.execution.dev/outcome": "never"}
        return team.create(pod(name, options="o", labels=labels, annotations=annotations, containers=[main]))

    team.label_namespace(pods="enabled")
    team.kubectl("apply", "-f", "-", manifests=queues(2))
    team.options("o", {"maxParallelism": 1})
    kueues = [f"kueues-{number}" for number in range(4)]
    for name in kueues:
        # Kueue's webhook comes after ours.
        made = member(name, **{QUEUE: "team"})["spec"]["schedulingGates"]
        assert made[0] == {"name": GATE}
        assert len(made) > 1
    for name in ("first", "second"):
        member(name)
    eventually(lambda: sum(gates(name) == [] for name in kueues) == 2, timeout=60)
    assert [team.get("Pod", name)["metadata"]["labels"][GATE] for name in kueues] == ["kueue"] * 4
    eventually(lambda: team.get("ExecutionOptions", "o")["status"].get("pods") == {"running": 1, "waiting": 1})
    assert [gates(name) for name in ("first", "second")] == [[], [GATE]]

    team.merge("Pod", "first", {"metadata": {"annotations": {"sim.execution.dev/outcome": "succeed"}}})
    eventually(lambda: gates("second") == [])
    ended = next(name for name in kueues if gates(name) == [])
    team.merge("Pod", ended, {"metadata": {"annotations": {"sim.execution.dev/outcome": "succeed"}}})
    eventually(lambda: sum(gates(name) == [] for name in kueues if name != ended) == 2, timeout=60)


@pytest.mark.usefixtures("tekton_webhook")
def test_tektons_defaults_come_after_those_of_options(team: Team) -> None:
    def create(**metadata: Any) -> Manifest:
        tasks = [{"name": "main", "taskSpec": {"steps": [{"name": "main", "image": "none", "command": ["true"]}]}}]
        run = {
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {"generateName": "run-", **metadata},
            "spec": {"pipelineSpec": {"tasks": tasks}},
        }
        return team.request("POST", path_of("tekton.dev", "v1", "pipelineruns", team.namespace), run)

    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    without = create()
    assert without["spec"]["taskRunTemplate"]["serviceAccountName"] == "default"
    # A default gives way to what an author wrote; the account that Tekton fills in is not that.
    run_as = {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}}
    team.cluster_options("default", {"selector": {}, "labels": {"tier": "one"}, **run_as})
    made = create()
    assert made["spec"]["taskRunTemplate"]["serviceAccountName"] == "trainer"
    assert made["spec"]["timeouts"] == without["spec"]["timeouts"]
    assert made["metadata"]["labels"]["tier"] == "one"
    # Tekton lets nobody change the spec of a run that exists; what follows an edit is metadata.
    path = path_of("tekton.dev", "v1", "pipelineruns", team.namespace, made["metadata"]["name"])
    edited = f"{team.namespace}-default"
    change = {"spec": {"labels": {"tier": "two"}}}
    options = path_of("execution.dev", "v1beta1", "clusterexecutionoptions", "", edited)
    team.request("PATCH", options, change, "application/merge-patch+json")
    eventually(lambda: team.request("GET", path)["metadata"]["labels"]["tier"] == "two")
